"""What the commands share: options, their types, checks of files, and errors in one line."""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable

_FINDINGS_SHOWN = 20
_NMS_METHODS = ("greedy", "soft", "diou")  # those of yolo3.ops.nms, which needs Keras
_NMS_OVERLAPS = ("iou", "ios")


def run_command(name: str, command: Callable[[], int]) -> int:
    """Return the status of ``command()``; a user's mistake becomes one line on stderr and status 1."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's notes are no message to the user
    try:
        return command()
    except (ValueError, OSError) as error:
        print(f"{name}: {in_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130


def in_one_line(error: Exception) -> str:
    """Return "path: No such file or directory" for errors of the system, else the message, on one line."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def check_outputs(*paths: str | os.PathLike | None) -> None:
    """Raise ``ValueError`` for a file that could not be written, before long work; ``None`` is passed over."""
    for path in paths:
        if path is None:
            continue
        if os.path.isdir(path):
            raise ValueError(f"{path}: expected a file to write, got a folder")
        if os.path.lexists(path) and not os.path.isfile(path):
            raise ValueError(f"{path}: expected a file to write, got a device, a pipe or a broken link")
        folder = os.path.dirname(os.path.abspath(path))
        while not os.path.lexists(folder):
            folder = os.path.dirname(folder)
        if not os.path.isdir(folder):
            raise ValueError(f"{path}: expected a folder at {folder}, got a file")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ValueError(f"{path}: expected a folder that can be written to, got {folder}")


def check_findings(dataset, path: str) -> None:
    """Print what the reader of a ``Dataset`` found; raises ``ValueError`` when there are no images, or errors."""
    for finding in dataset.findings[:_FINDINGS_SHOWN]:
        print(f"{finding.severity}: {finding}", file=sys.stderr)
    hidden = len(dataset.findings) - _FINDINGS_SHOWN
    if hidden > 0:
        print(f"... and {hidden} more", file=sys.stderr)
    errors = [finding for finding in dataset.findings if finding.severity == "error"]
    if errors:
        raise ValueError(f"{path}: {len(errors)} annotations cannot be used, first {errors[0]}")
    if not dataset.annotations:
        raise ValueError(f"{path}: expected annotated images, got none")


def start_tensorflow() -> None:
    """Import Keras with its backend and look for devices; their start-up notes are shown only if that fails.

    TensorFlow 2.21 writes them straight to file descriptor 2, whatever ``TF_CPP_MIN_LOG_LEVEL`` says.
    """
    with _held_back_stderr():
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            for gpu in tf.config.list_physical_devices("GPU"):  # take memory as it is needed, not all at once
                tf.config.experimental.set_memory_growth(gpu, True)


@contextlib.contextmanager
def _held_back_stderr():
    sys.stderr.flush()
    own = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except Exception:
            notes.seek(0)
            os.write(own, notes.read())
            raise
        finally:
            os.dup2(own, 2)
            os.close(own)


# Types of options


def fraction(text: str) -> float:
    """Return a number from 0 to 1."""
    value = _number(float, text, "a number from 0 to 1")
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text}")
    return value


def count(text: str) -> int:
    """Return a whole number above 0."""
    value = _number(int, text, "a whole number above 0")
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text}")
    return value


def from_zero(text: str) -> int:
    """Return a whole number, 0 or above."""
    value = _number(int, text, "a whole number, 0 or above")
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or above, got {text}")
    return value


def side(text: str) -> int:
    """Return a side of the network input in pixels, a multiple of 32."""
    value = _number(int, text, "a multiple of 32")
    if value < 32 or value % 32:
        raise argparse.ArgumentTypeError(f"expected a multiple of 32, got {text}")
    return value


def _number(kind, text: str, expected: str):
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text}") from None


def add_detector_options(parser: argparse.ArgumentParser, score_threshold: float) -> None:
    """Add the options that ``detect`` and ``evaluate`` share."""
    _add_network_options(parser)
    _add_selection_options(parser, score_threshold)


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    from yolo3.precision import DETECTION_PRECISIONS

    parser.add_argument(
        "--weights", required=True, metavar="FILE",
        help="the network: .h5, .keras or .weights.h5, or Darknet's .weights with --cfg",
    )  # fmt: skip
    parser.add_argument("--cfg", metavar="FILE", help="cfg of Darknet weights: with --weights FILE.weights")
    parser.add_argument("--classes", metavar="FILE", help="class names, one a line; only for weights that carry none")
    parser.add_argument("--anchors", metavar="FILE", help="anchors, w,h pairs in pixels; only for weights without any")
    parser.add_argument(
        "--resize", choices=("letterbox", "stretch"),
        help="how images are brought to the network's size (default: as in training)",
    )  # fmt: skip
    parser.add_argument(
        "--input-size", type=side, nargs=2, metavar=("H", "W"),
        help="height and width of the network input in pixels, multiples of 32 (default: as in training)",
    )  # fmt: skip
    parser.add_argument(
        "--batch-size", type=count, default=8, metavar="B", help="images at once (default: %(default)s)"
    )
    parser.add_argument(
        "--precision", choices=DETECTION_PRECISIONS, default="float32",
        help="to compute in; bfloat16 is faster where the machine multiplies in it, which auto finds out "
        "(default: %(default)s)",
    )  # fmt: skip


def _add_selection_options(parser: argparse.ArgumentParser, score_threshold: float) -> None:
    parser.add_argument(
        "--score-threshold", type=fraction, default=score_threshold, metavar="S",
        help="scores have to be above it, 0 to 1 (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--iou-threshold", type=fraction, metavar="T",
        help="of boxes of one class that overlap by more than it the best is kept (default: the network's, 0.45; "
        "of rpn 0.7)",
    )  # fmt: skip
    parser.add_argument(
        "--nms", choices=_NMS_METHODS, default=_NMS_METHODS[0],
        help="what happens to the others: greedy drops them, soft lowers their scores the more they overlap, "
        "diou drops them if their centres are close too (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--nms-overlap", choices=_NMS_OVERLAPS, default=_NMS_OVERLAPS[0],
        help="intersection over union, or over the area of the weaker box: ios drops what lies inside a better "
        "box (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--max-boxes",
        type=count,
        default=300,
        metavar="N",
        help="detections an image at most (default: %(default)s)",
    )


def detector_options(arguments: argparse.Namespace) -> dict:
    """Return the options of :func:`add_detector_options` as arguments of ``yolo3.inference.detector.load_detector``."""
    return {
        "weights": arguments.weights,
        "classes_path": arguments.classes,
        "anchors_path": arguments.anchors,
        "cfg_path": arguments.cfg,
        "score_threshold": arguments.score_threshold,
        "iou_threshold": arguments.iou_threshold,
        "nms": arguments.nms,
        "nms_overlap": arguments.nms_overlap,
        "max_boxes": arguments.max_boxes,
        "resize": arguments.resize,
        "input_shape": arguments.input_size,
        "batch_size": arguments.batch_size,
        "precision": arguments.precision,
    }
