"""``yolo3 train`` and ``python train.py``: annotated images in, a trained detector out."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import Any

from yolo3.cli.options import count, fraction, from_zero, run_command, side, start_tensorflow
from yolo3.datasets.formats.registry import FORMATS, format_help
from yolo3.input.settings import CACHES, PLACEMENTS, Augmentation
from yolo3.models.architecture import MODELS, WITHOUT_ANCHORS
from yolo3.models.yolov3.loss_options import BOX_LOSSES, FOCAL_TERMS, LossOptions
from yolo3.ops.letterbox import RESIZE_MODES
from yolo3.precision import PRECISIONS
from yolo3.training.schedules import SCHEDULES
from yolo3.training.settings import MULTI_SCALES, OPTIMIZERS, PATHS, TrainConfig

RECIPES = ("default", "darknet")
_SHOWN_WARNINGS = 20

# What fits the embedded set (256 x 256 pixels) and a first run that ends soon on two cores. A few passes over so many
# rendered images need little variation, and mosaic would cut shapes: a cut circle is no circle.
_SHORT = {"mosaic": 0.0, "jitter": 0.1, "zoom": (0.9, 1.1), "hue": 0.05}
_SHORT_FULL = {**_SHORT, "input_size": (128, 128), "epochs": 7, "evaluate_every": 4, "ema": 0.0}
# A cell of YOLOv1 shares no weights with the others: it has to see many objects of its own, moved about by mosaics.
_LONG_YOLOV1 = {
    "input_size": (256, 256), "epochs": 80, "evaluate_every": 8, "batch_size": 16, "learning_rate": 2e-4, "hue": 0.05,
    "freeze_epochs": 0, "model_options": (("grid_size", 4),),
}  # fmt: skip
EMBEDDED = {
    "yolov3": _SHORT_FULL,
    "yolov3-spp": _SHORT_FULL,
    "yolov3-tiny": {**_SHORT, "input_size": (192, 192), "epochs": 12, "evaluate_every": 3},
    "yolov1": _LONG_YOLOV1,
    "yolov1-tiny": _LONG_YOLOV1,
    "retinanet": {
        **_SHORT_FULL, "epochs": 12, "evaluate_every": 3,
        "model_options": (("depth", 2), ("width", 128), ("anchor_scale", 2.0)),
    },
    "rpn": {**_SHORT_FULL, "epochs": 8, "model_options": (("scales", (1.0, 1.5, 2.5, 4.0)),)},
}  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command; options that are not given take the defaults of the settings."""
    parser = argparse.ArgumentParser(
        prog="yolo3 train",
        description="Train YOLOv3 on annotated images. Without --data it trains on rendered shapes that it makes.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--anchors", help="file of anchors: nine make YOLOv3, six the tiny network (or give --cfg)")
    parser.add_argument("--resume", metavar="RUN", help="go on with the run in this folder; takes no other option")
    parser.add_argument("--check-only", action="store_true", help="check the data, draw a sheet of targets, and stop")
    _add_data_options(parser.add_argument_group("data"))
    _add_network_options(parser.add_argument_group("network"))
    _add_training_options(parser.add_argument_group("training"))
    _add_loss_options(parser.add_argument_group("loss of YOLOv3"))
    _add_augment_options(parser.add_argument_group("how training images vary"))
    return parser


def _add_data_options(group) -> None:
    group.add_argument("--data", help="annotations: a file or a folder (default: the embedded shapes)")
    group.add_argument("--format", choices=tuple(FORMATS), help=format_help())
    group.add_argument("--classes", help="file with one class name a line (default: collected from the data)")
    group.add_argument("--train-list", metavar="NAME", help="list of the data set to train on, such as trainval")
    group.add_argument("--val-list", metavar="NAME", help="list of the data set to validate on, such as test")
    group.add_argument("--val", metavar="PATH", help="annotations to validate on, a data set of their own")
    group.add_argument("--val-split", type=fraction, help="share of the images to validate on (default: 0.1)")
    group.add_argument("--skip-bad", action="store_true", help="leave out what cannot be used instead of stopping")
    group.add_argument(
        "--cache", choices=CACHES,
        help="keep decoded images in memory, on disk (in the run's folder, as long as it runs) or not at all "
        "(default: auto, in memory if they fit)",
    )  # fmt: skip
    group.add_argument("--workers", type=from_zero, help="threads that prepare images (default: 0, as many as help)")


def _add_network_options(group) -> None:
    group.add_argument("--model", choices=MODELS, help="network (default: what the number of anchors means)")
    group.add_argument(
        "--model-options", type=_named_value, nargs="+", metavar="NAME=VALUE",
        help="of yolov1, yolov1-tiny, retinanet and rpn, such as grid_size=7 activation=sigmoid",
    )  # fmt: skip
    group.add_argument(
        "--anchor-mask", type=_mask_row, nargs="+", metavar="I,I,I",
        help="anchors of each scale by index, stride 32 first (default: 6,7,8 3,4,5 0,1,2; tiny: 3,4,5 0,1,2)",
    )  # fmt: skip
    group.add_argument("--cfg", help="Darknet cfg: train its network, its heads fitted to the classes of the data")
    group.add_argument("--weights", help="weights to start from, Keras' or, with --cfg, Darknet's (default: random)")
    group.add_argument("--input-size", type=side, nargs=2, metavar=("H", "W"), help="pixels (default: 416 416)")
    group.add_argument("--resize", choices=RESIZE_MODES, help="how validation images get there (default: letterbox)")
    group.add_argument(
        "--multi-scale", action="store_const", const=MULTI_SCALES, help="vary the input size every ten batches"
    )
    group.add_argument(
        "--ignore-thresh", type=fraction, help="IoU above which background is ignored (default: 0.5, or the cfg's)"
    )


def _add_training_options(group) -> None:
    group.add_argument(
        "--recipe", choices=RECIPES,
        help="darknet: train as the [net] section of --cfg says; other options still count (default: default)",
    )  # fmt: skip
    group.add_argument("--epochs", type=count, help="passes over the images (default: 100)")
    group.add_argument("--batch-size", type=count, help="images a step (default: 8)")
    group.add_argument("--accumulate", type=count, help="steps that make one update (default: 1)")
    group.add_argument("--optimizer", choices=OPTIMIZERS, help="default: adam")
    group.add_argument("--learning-rate", type=float, help="largest rate (default: 0.001)")
    group.add_argument("--schedule", choices=SCHEDULES, help="default: cosine")
    group.add_argument("--burn-in", type=from_zero, metavar="UPDATES", help="of rising rate (default: 5%% of the run)")
    group.add_argument("--momentum", type=fraction, help="of sgd and darknet (default: 0.9)")
    group.add_argument("--weight-decay", type=float, help="of kernels (default: 0.0005)")
    group.add_argument("--clip-norm", type=float, help="largest norm of the gradient (default: 0, no limit)")
    group.add_argument("--ema", type=fraction, help="momentum of averaged weights, 0 for none (default: by length)")
    group.add_argument("--freeze-epochs", type=from_zero, help="backbone frozen (default: 10%% with --weights)")
    group.add_argument("--precision", choices=PRECISIONS, help="default: auto, bfloat16 where the machine has it")
    group.add_argument("--jit-compile", action="store_true", help="compile the step with XLA")
    group.add_argument("--evaluate-every", type=count, metavar="EPOCHS", help="default: about 20 times a run")
    group.add_argument("--seed", type=from_zero, help="default: 0")
    group.add_argument("--output", metavar="DIR", help="folder of the run (default: runs/train-NNN)")


def _add_loss_options(group) -> None:
    group.add_argument("--box-loss", choices=BOX_LOSSES, help="of boxes: xywh, or 1 - overlap (default: xywh)")
    group.add_argument("--box-scale", type=float, metavar="WEIGHT", help="of the boxes' part (default: 1)")
    group.add_argument("--focal", nargs="+", choices=FOCAL_TERMS, help="parts by the focal loss (default: none)")
    group.add_argument("--focal-alpha", type=float, metavar="A", help="its weight of targets of 1 (default: 0.25)")
    group.add_argument("--focal-gamma", type=float, metavar="G", help="its exponent (default: 2)")
    group.add_argument("--label-smoothing", type=float, metavar="E", help="class targets from E/2 (default: 0)")
    group.add_argument(
        "--iou-thresh", type=float, metavar="IOU",
        help="learn an object by all anchors whose shapes overlap it by more, beside the best (default: 1, the best)",
    )  # fmt: skip


def _add_augment_options(group) -> None:
    group.add_argument("--jitter", type=fraction, help="change of the sides (default: 0.3)")
    group.add_argument("--placement", choices=PLACEMENTS, help="of an image on the canvas (default: fit)")
    group.add_argument("--zoom", type=float, nargs=2, metavar=("LOW", "HIGH"), help="size (default: 0.8 1.2)")
    group.add_argument("--flip", type=fraction, help="share that is mirrored (default: 0.5)")
    group.add_argument("--hue", type=fraction, help="shift in turns of the colour circle (default: 0.1)")
    group.add_argument("--saturation", type=float, help="largest factor (default: 1.5)")
    group.add_argument("--exposure", type=float, help="largest factor (default: 1.5)")
    group.add_argument("--mosaic", type=fraction, help="share made of four images (default: 0.5)")
    group.add_argument("--mosaic-zoom", type=float, nargs=2, metavar=("LOW", "HIGH"), help="default: 0.6 1.4")
    group.add_argument("--plain-share", type=fraction, help="last part without mosaic (default: 0.15)")


def _mask_row(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected indices such as 3,4,5, got {text}") from None


def _named_value(text: str) -> tuple[str, Any]:
    """Return (name, value) of "name=value": a number, True or False, numbers with commas between, or a word."""
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals and value):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text}")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value


def config_from(options: dict) -> TrainConfig:
    """Return the settings for the options that were given; paths become absolute."""
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    options |= {name: os.path.abspath(options[name]) for name in PATHS if name in options}
    recipe = options.pop("recipe", "default")
    if "cfg" in options:
        short = {} if "data" in options or recipe != "default" else {**_SHORT, "epochs": 12, "evaluate_every": 3}
        options = _cfg_settings(options["cfg"], recipe) | short | options
    elif recipe != "default":
        raise ValueError(f"--recipe {recipe}: expected --cfg FILE beside it, which says the recipe")
    elif "data" not in options:
        options = _embedded_defaults(options) | options
    return TrainConfig(augment=_record(Augmentation, options), loss=_record(LossOptions, options), **options)


def _record(kind: type, options: dict) -> Any:
    """Take the fields of a record out of the options and return the record."""
    names = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: options.pop(name) for name in list(options) if name in names})


def _cfg_settings(path: str, recipe: str) -> dict:
    from yolo3.darknet.cfg import read_cfg
    from yolo3.darknet.recipe import recipe_of, settings_of

    cfg = read_cfg(path)
    if recipe == "default":
        return settings_of(cfg)
    return settings_of(cfg) | recipe_of(cfg) | {"epochs": 0}


def _embedded_defaults(options: dict) -> dict:
    from yolo3.models.yolov3.anchors import read_anchors

    model = options.get("model")
    if model is None:
        model = "yolov3-tiny" if len(read_anchors(options["anchors"])) == 6 else "yolov3"
    return EMBEDDED.get(model, EMBEDDED["yolov3-tiny"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 after a user's mistake."""
    parser = build_parser()
    options = vars(parser.parse_args(argv))
    if "resume" in options and len(options) > 1:
        parser.error("--resume takes no other option: the run goes on with the settings it began with")
    if not {"resume", "anchors", "cfg"} & set(options) and options.get("model") not in WITHOUT_ANCHORS:
        parser.error("the option --anchors is required, or --cfg")
    for other in ("model", "anchor_mask"):
        if "cfg" in options and other in options:
            parser.error(f"--{other.replace('_', '-')} does not go with --cfg, which says its own")
    return run_command("yolo3 train", lambda: _run(options))


def _run(options: dict) -> int:
    resume, check_only = options.pop("resume", None), options.pop("check_only", False)
    from yolo3.training import run_folder

    if resume:
        config, folder = _resumed(resume)
    else:
        kind = "check" if check_only else "train"
        config, folder = config_from(options), run_folder.new_run_folder(options.get("output"), kind)
    _check_paths(config, folder)
    start_tensorflow()
    from yolo3.training import loop as training

    prepared = _prepare(config, list_all=check_only)
    if prepared is None:
        return 1
    if check_only:
        path = folder.file(run_folder.TARGETS)
        training.write_targets_sheet(config, prepared, path)
        print(f"The data can be used. What the network is taught: {path}")
        return 0
    print(f"Run folder: {folder.path}", flush=True)
    try:
        result = training.train(config, prepared, folder, bool(resume), _callbacks(folder), _say, sys.stderr.isatty())
    except KeyboardInterrupt:
        print(f"\nInterrupted. Go on with: yolo3 train --resume {folder.path}")
        return 130
    print(_farewell(config, prepared, result))
    return 0


def _check_paths(config: TrainConfig, folder) -> None:
    """Raise OSError now for what would stop the run after its data was checked."""
    for path in (config.anchors, config.cfg, config.weights, config.val, config.data, config.classes):
        if path:
            os.stat(path)
    parent = folder.path.absolute()
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ValueError(f"{folder.path}: expected a folder that can be written, {parent} is none")


def _resumed(path: str):
    from yolo3.training import run_folder

    config = run_folder.read_settings(path)
    folder = run_folder.RunFolder(path)
    own = {"classes": run_folder.CLASSES, "anchors": run_folder.ANCHORS, "cfg": run_folder.CFG}
    files: dict[str, Any] = {name: str(folder.file(file)) for name, file in own.items() if folder.file(file).exists()}
    return dataclasses.replace(config, **files), folder


def _prepare(config: TrainConfig, list_all: bool):
    """Return the checked data, or None after listing what cannot be used."""
    from tqdm import tqdm

    from yolo3.training.preparation import DataError, prepare

    try:
        with tqdm(desc="checking images", unit="image", file=sys.stderr, disable=None, leave=False) as bar:
            prepared = prepare(config, lambda done, total: _advance(bar, done, total))
    except DataError as error:
        _list_findings(error.findings, list_all)
        print(f"yolo3 train: {error}", file=sys.stderr)
        return None
    for note in prepared.notes:
        print(note)
    _list_findings(prepared.findings, list_all, "left out")
    return prepared


def _advance(bar, done: int, total: int) -> None:
    bar.total = total
    bar.n = done
    bar.refresh()


def _list_findings(findings, list_all: bool, name_of_errors: str = "error") -> None:
    """Print all errors, and the first warnings or all of them."""
    warnings = [finding for finding in findings if finding.severity != "error"]
    for finding in findings:
        if finding.severity == "error":
            print(f"{name_of_errors}: {finding}")
    shown = warnings if list_all else warnings[:_SHOWN_WARNINGS]
    for finding in shown:
        print(f"warning: {finding}")
    if len(warnings) > len(shown):
        print(f"... and {len(warnings) - len(shown)} more warnings: --check-only lists all, findings.txt keeps them")


def _callbacks(folder) -> list:
    """Return the TensorBoard callback where TensorBoard is installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return []
    import keras

    return [keras.callbacks.TensorBoard(str(folder.file("tensorboard")), write_graph=False)]


def _say(line: str) -> None:
    """Print a line without breaking a progress bar."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()


def _farewell(config: TrainConfig, prepared, result) -> str:
    from yolo3.training import run_folder

    path = result.folder.file
    lines = ["", "Done."]
    if "AP50" in result.last_row:
        row = result.last_row
        lines[-1] += f" On {len(prepared.val)} images it has not seen: AP50 {row['AP50']:.3f}, AP {row['AP']:.3f}"
        lines[-1] += f" (best AP50 {result.best_ap50:.3f})."
    best = path(run_folder.BEST)
    lines += [f"Weights      {best} (best), {path(run_folder.LAST)} (last)"]
    lines += [f"Curves       {path(run_folder.CURVES)}, numbers in {path(run_folder.LOG)}"]
    if prepared.val:
        lines += [f"Predictions  {path(run_folder.PREDICTIONS)}"]
        lines += [f"Report       {path(run_folder.REPORT)}"] if path(run_folder.REPORT).exists() else []
    lines += ["", *result.advice] if result.advice else []
    lines += ["", "Next:", f"  yolo3 detect --weights {best} IMAGES_OR_FOLDERS"]
    if prepared.val_source:
        path, list_name = prepared.val_source
        options = (f" --list {list_name}" if list_name else "") + (" --skip-bad" if config.skip_bad else "")
        lines += [f"  yolo3 evaluate --weights {best} --data {path}{options}"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
