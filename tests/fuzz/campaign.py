"""The long form: any number of damaged inputs over all readers, in a process with little memory.

    python -m tests.fuzz.campaign --inputs 100000 --seed 0

prints for each reader how many inputs it read and refused, and the longest time; status 1 if one ended in another
error than `ValueError` or `OSError`, in one of several lines, took over five seconds or over a gigabyte. Failing inputs
are kept in the folder of `--keep`.
"""

import argparse
import faulthandler
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

LONGEST, MEMORY = 5.0, 1 << 30


def try_input(target, content: bytes) -> tuple[str, float]:
    """Let a reader read a content; return ("read" or "refused" or what is wrong, seconds)."""
    target.path.write_bytes(content)
    start = time.perf_counter()
    try:
        target.read()
        outcome = "read"
    except (ValueError, OSError) as error:
        outcome = "message of several lines" if re.search("[\\n\\r]", str(error)) else "refused"
    except MemoryError:
        outcome = "over a gigabyte"
    except Exception as error:  # what the campaign looks for
        outcome = f"{type(error).__name__}: {str(error)!r:.200}"
    seconds = time.perf_counter() - start
    target.path.write_bytes(target.content)
    return (f"took {seconds:.1f} s" if seconds > LONGEST else outcome), seconds


def damaged_input(target, seed: int, number: int) -> bytes:
    """Return input `number` of a reader."""
    from tests.fuzz.damage import damage

    return damage(target.content, Random(f"{seed} {target.name} {number}"))


def run_worker(numbers: range, seed: int, keep: Path) -> None:
    """Try some inputs of each reader; print a JSON line for each reader when it is done."""
    from tests.fuzz.targets import build_targets

    faulthandler.enable()
    os.environ["YOLO3_DATA_CACHE"] = "off"
    with tempfile.TemporaryDirectory() as folder:
        targets = build_targets(Path(folder))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        for target in targets:
            counts, longest, faults = {"read": 0, "refused": 0}, 0.0, []
            for number in numbers:
                content = damaged_input(target, seed, number)
                (keep / "last-input").write_bytes(content)
                outcome, seconds = try_input(target, content)
                longest = max(longest, seconds)
                if outcome in counts:
                    counts[outcome] += 1
                else:
                    faults.append(f"input {number}: {outcome}")
                    (keep / f"{target.name.replace('/', '_')}-{number}").write_bytes(content)
            print(json.dumps({"name": target.name, **counts, "longest": longest, "faults": faults}), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000, help="inputs over all readers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-faults"), help="folder for inputs that fail")
    parser.add_argument("--worker", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.keep.mkdir(parents=True, exist_ok=True)
    if arguments.worker:
        run_worker(range(*arguments.worker), arguments.seed, arguments.keep)
        return 0

    from tests.fuzz.targets import build_targets

    with tempfile.TemporaryDirectory() as folder:
        names = [target.name for target in build_targets(Path(folder))]
    per_reader = -(-arguments.inputs // len(names))
    command = [sys.executable, "-m", "tests.fuzz.campaign", "--seed", str(arguments.seed)]
    command += ["--keep", str(arguments.keep), "--worker", "0", str(per_reader)]
    quiet = os.environ | {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8", "TF_CPP_MIN_LOG_LEVEL": "3"}
    started, faults, total = time.perf_counter(), [], 0
    with subprocess.Popen(command, env=quiet, stdout=subprocess.PIPE, text=True) as worker:
        print(f"{'reader':<34}{'read':>8}{'refused':>9}{'longest':>11}")
        for line in worker.stdout or ():
            row = json.loads(line)
            total += row["read"] + row["refused"] + len(row["faults"])
            faults += [f"{row['name']}: {fault}" for fault in row["faults"]]
            print(f"{row['name']:<34}{row['read']:>8}{row['refused']:>9}{row['longest']:>9.2f} s", flush=True)
    if worker.returncode:
        faults.append(
            f"the process ended with status {worker.returncode}; its input is {arguments.keep / 'last-input'}"
        )
    print(f"{total:,} inputs in {time.perf_counter() - started:.0f} s, {len(faults)} faults")
    print("\n".join(faults[:100]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
