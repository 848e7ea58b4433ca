"""What is free: of the machine, of control groups of both versions, of the address space."""

import os
import subprocess
import sys

from yolo3.memory import UNKNOWN, free_memory, resident_memory

MIB = 1 << 20


def system(root, groups=(), place="0::/a/b"):
    """A made-up system with 1000 MiB free, and control groups {folder: (limit, used, cached)}."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "meminfo").write_text("MemTotal: 4096000 kB\nMemAvailable: 1024000 kB\n")
    (root / "proc" / "self" / "cgroup").write_text(place + "\n")
    for folder, names, (limit, used, cached) in groups:
        path = root / "sys/fs/cgroup" / folder
        path.mkdir(parents=True, exist_ok=True)
        (path / names[0]).write_text(str(limit))
        (path / names[1]).write_text(str(used))
        (path / "memory.stat").write_text(f"anon 1\n{names[2]} {cached}\n")
    return root


V2 = ("memory.max", "memory.current", "inactive_file")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def test_without_control_groups_the_machine_decides(tmp_path):
    assert free_memory(system(tmp_path)) == 1000 * MIB


def test_a_system_that_does_not_say_is_taken_to_have_some(tmp_path):
    assert free_memory(tmp_path) == UNKNOWN


def test_the_nearest_limit_of_the_groups_above_counts_without_cached_files(tmp_path):
    groups = [
        ("a/b", V2, ("max", 5, 0)),
        ("a", V2, (500 * MIB, 300 * MIB, 100 * MIB)),
        ("", V2, (900 * MIB, 300 * MIB, 0)),
    ]
    assert free_memory(system(tmp_path, groups)) == 300 * MIB  # 500 - (300 - 100)


def test_groups_of_the_first_version_count_too(tmp_path):
    groups = [("memory/c", V1, (250 * MIB, 50 * MIB, 0)), ("memory", V1, (2**63 - 4096, 50 * MIB, 0))]
    assert free_memory(system(tmp_path, groups, place="3:cpu:/\n4:cpuset,memory:/c\n0::/")) == 200 * MIB


def test_in_a_container_the_mounted_folder_itself_is_the_group(tmp_path):
    assert free_memory(system(tmp_path, [("", V2, (100 * MIB, 100 * MIB, 60 * MIB))], "0::/docker/17")) == 60 * MIB


def test_a_group_that_is_full_has_nothing_free(tmp_path):
    assert free_memory(system(tmp_path, [("", V2, (100 * MIB, 120 * MIB, 0))])) == 0


def test_an_address_space_with_a_limit_has_what_is_left_of_it():
    script = (
        "import resource\n"
        "from yolo3.memory import free_address_space\n"
        "assert free_address_space() is None\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, resource.RLIM_INFINITY))\n"
        "before = free_address_space()\n"
        "assert 0 < before < 2 << 30\n"
        "kept = bytearray(100 << 20)\n"
        "assert 100 << 20 <= before - free_address_space() < 110 << 20\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_what_a_process_takes_is_known_while_it_lives():
    assert resident_memory(os.getpid()) > 10 * MIB and resident_memory(2**22 + 1) == 0
