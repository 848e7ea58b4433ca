"""``yolo3 convert``: turn Darknet's cfg and weights into a Keras file, and a Keras file back into both."""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from yolo3.cli.options import option_type
from yolo3.cli.running import run_command
from yolo3.ops.resize_modes import RESIZE_MODES
from yolo3.outputs import check_outputs
from yolo3.progress import progress_bar
from yolo3.settings import WHOLE
from yolo3.startup import start_tensorflow


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 convert``."""
    parser = argparse.ArgumentParser(
        prog="yolo3 convert",
        usage="%(prog)s [options] CFG WEIGHTS OUT\n       %(prog)s [options] --to-darknet MODEL OUT.cfg OUT.weights",
        description="Turn a Darknet network into a Keras file (.h5, .keras, or "
        ".weights.h5 for weights alone), or back.",
    )

    parser.add_argument("files", nargs=3, metavar="FILE", help="CFG WEIGHTS OUT, or MODEL OUT.cfg OUT.weights")
    parser.add_argument("--to-darknet", action="store_true", help="turn a Keras file into a cfg and a weight file")
    parser.add_argument("-w", "--weights_only", "--weights-only", action="store_true", help="write the weights alone")
    parser.add_argument(
        "-p",
        "--plot_model",
        "--plot-model",
        action="store_true",
        help="also plot the network, to OUT with the suffix .png (needs pydot and Graphviz)",
    )
    parser.add_argument(
        "--classes",
        metavar="FILE",
        help="class names, one per line, to store with the weights (default: COCO's for 80 classes, VOC's for 20); "
        "with --to-darknet only for files that carry none",
    )
    parser.add_argument(
        "--anchors", metavar="FILE", help="anchors, w,h pairs in pixels; with --to-darknet, for files that carry none"
    )
    parser.add_argument(
        "--resize",
        choices=RESIZE_MODES,
        help="how images are resized to the network input (default: as the Darknet that the cfg is written for does)",
    )
    parser.add_argument(
        "--upto",
        type=option_type(WHOLE.parse),
        metavar="N",
        help="with --to-darknet: write only layers 0 to N-1 of the cfg, as 'darknet partial' does",
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 after a user's mistake."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.to_darknet and (arguments.weights_only or arguments.plot_model or arguments.resize):
        parser.error("--to-darknet does not go with --weights_only, --plot_model and --resize")
    if not arguments.to_darknet and (arguments.upto is not None or arguments.anchors):
        parser.error("--upto and --anchors go with --to-darknet; a cfg has its own anchors")
    command = _to_darknet if arguments.to_darknet else _to_keras
    return run_command("yolo3 convert", lambda: command(arguments))


def _to_keras(arguments: argparse.Namespace) -> int:
    cfg_path, weights_path, output = arguments.files
    _check_readable(cfg_path, weights_path)
    check_outputs(output)
    image = f"{output.removesuffix('.weights.h5').removesuffix('.keras').removesuffix('.h5')}.png"
    start_tensorflow()

    from yolo3.convert.plot import check_plot, plot_network
    from yolo3.convert.to_keras import convert_to_keras, find_class_names
    from yolo3.darknet.cfg import read_cfg
    from yolo3.datasets.class_names import read_class_names

    if arguments.plot_model:
        check_plot(image)
    names_path = arguments.classes or find_class_names(read_cfg(cfg_path))
    with progress_bar("layer") as show:
        result = convert_to_keras(
            cfg_path,
            weights_path,
            output,
            weights_only=arguments.weights_only,
            class_names=read_class_names(names_path) if names_path else None,
            resize=arguments.resize,
            progress=show,
        )
    if arguments.plot_model:
        plot_network(result.model, image)

    report = _report(result, output, str(names_path) if names_path else None, image if arguments.plot_model else None)
    print(json.dumps(report, indent=2) if arguments.json else _in_words(report))
    return 0


def _to_darknet(arguments: argparse.Namespace) -> int:
    model_path, cfg_path, weights_path = arguments.files
    _check_readable(model_path)
    check_outputs(cfg_path, weights_path)

    from yolo3.datasets.class_names import read_class_names
    from yolo3.models.yolov3.anchors import read_anchors

    names = read_class_names(arguments.classes) if arguments.classes else None
    anchors = read_anchors(arguments.anchors).tolist() if arguments.anchors else None
    start_tensorflow()

    from yolo3.convert.to_darknet import convert_to_darknet

    cfg, size = convert_to_darknet(
        model_path, cfg_path, weights_path, anchors=anchors, class_names=names, upto=arguments.upto
    )
    report = {"cfg": cfg_path, "weights": weights_path, "bytes": size, "layers": len(cfg.layers)}
    words = f"wrote {cfg_path} ({len(cfg.layers)} layers) and {weights_path} ({size:,} bytes)"
    print(json.dumps(report, indent=2) if arguments.json else words)
    return 0


def _check_readable(*paths: str) -> None:
    """Raise `OSError` for a file that cannot be read, before TensorFlow starts."""
    for path in paths:
        with open(path, "rb"):
            pass


def _report(result: Any, output: str, names_path: str | None, image: str | None) -> dict:
    """Return the report of the command, ready for JSON."""
    file, metadata = result.loaded.file, result.metadata
    return {
        "output": output,
        "picture": image,  # the key of earlier versions, which scripts read
        "weights": str(file.path),
        "version": [file.header.major, file.header.minor, file.header.revision],
        "seen": file.header.seen,
        "numbers": file.floats,
        "layers": len(result.model.layers),
        "parameters": result.model.count_params(),
        "outputs": [list(output.shape[1:]) for output in result.model.outputs],
        "filled": list(result.loaded.loaded),
        "random": list(result.loaded.missing),
        "classes": len(metadata["class_names"]) if "class_names" in metadata else None,
        "class_names": names_path,
        "input_shape": metadata.get("input_shape"),
        "resize": metadata["resize"],
        "notes": list(result.notes),
    }


def _in_words(report: dict) -> str:
    """Return the report as text."""
    version = ".".join(map(str, report["version"]))
    lines = [
        f"{report['weights']}: Darknet {version}, trained on {report['seen']:,} images, {report['numbers']:,} numbers",
        f"network: {report['layers']} Keras layers, {report['parameters']:,} parameters, outputs "
        + ", ".join("x".join("?" if side is None else str(side) for side in shape) for shape in report["outputs"]),
        f"filled: {_layers(report['filled'])}",
    ]

    if report["random"]:
        lines.append(f"random: {_layers(report['random'])}")
    lines.append(
        f"class names: the {report['classes']} of {report['class_names']}"
        if report["class_names"]
        else "class names: none; give --classes FILE to keep them with the weights"
    )
    lines.append(f"images: {report['resize']} to {_size(report['input_shape'])}")
    lines += [f"note: {note}" for note in report["notes"]]
    lines += [f"wrote {path}" for path in (report["output"], report["picture"]) if path]
    return "\n".join(lines)


def _size(input_shape: list[int] | None) -> str:
    return f"{input_shape[0]} x {input_shape[1]} (height x width)" if input_shape else "any size"


def _layers(names: list[str]) -> str:
    return f"{len(names)} layers with weights, {names[0]} to {names[-1]}" if len(names) > 1 else f"layer {names[0]}"
