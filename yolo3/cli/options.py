"""Options of the command line, made from the descriptions of settings (`yolo3.settings`)."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from yolo3.inference.settings import DetectorSettings
from yolo3.models.published import PUBLISHED
from yolo3.settings import Setting, settings_in


def option_type(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return the type of an option from a function that parses text; argparse shows the message of its ValueError."""

    def parse_option(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse_option


def add_settings(parser, record: type, names: Sequence[str] | None = None, **defaults: Any) -> None:
    """Add options for the settings of a record.

    An option that is not given leaves the default of its setting in the namespace, or nothing where the parser has
    `argument_default=argparse.SUPPRESS`.

    Args:
        parser: An `argparse.ArgumentParser`, or a group of one.
        record: Dataclass of `yolo3.settings.setting` fields.
        names: Settings to add, in this order; None for all that have an option, in the groups that they name.
        defaults: Defaults of this command, by name, where they are not the record's.
    """
    groups = {"": parser}
    settings = settings_in(record)
    for name in settings if names is None else names:
        own_default, described = settings[name]
        if not described.option:
            continue
        title = described.group if names is None else ""
        if title not in groups:
            groups[title] = parser.add_argument_group(title)

        default = defaults.get(name, own_default)
        options: dict[str, Any] = {"dest": name, "help": help_of(described, default)}
        if parser.argument_default is not argparse.SUPPRESS:
            options["default"] = default
        if described.const is not None and described.many is None:
            options |= {"action": "store_const", "const": described.const}
        else:
            number = described.number
            if parse := number.parse if number else described.parse:
                options["type"] = option_type(parse)
            short = "FILE" if described.is_path else ("N" if number.kind is int else "X") if number else None
            options |= {"nargs": described.many, "metavar": described.metavar or short}
            options |= {"choices": tuple(described.allowed) or None}
            options |= {} if described.const is None else {"const": described.const}
            if described.many == "+" and "default" not in options:
                options["action"] = "extend"  # given twice, both count
        groups[title].add_argument(described.flag or f"--{name.replace('_', '-')}", **options)


def help_of(described: Setting, default: Any) -> str:
    """Return the help of an option, which ends with its default, as argparse wants it."""
    if default is None or default == ():
        shown = described.unset
    elif described.const is not None:
        shown = None  # a switch, off by default
    else:
        parts = default if isinstance(default, tuple) else (default,)
        shown = " ".join(f"{part:g}" if isinstance(part, float) else str(part) for part in parts)

    text = described.text if shown is None else f"{described.text} (default: {shown})"
    return text.replace("%", "%%")


def add_detector_options(parser: argparse.ArgumentParser, required: bool = True, **defaults: Any) -> None:
    """Add the options of a detector: its files and its settings.

    Args:
        parser: Where they are added.
        required: Whether the weights have to be given.
        defaults: Defaults of this command, by name, where they are not the detector's.
    """
    add_network_files(parser, required, "; or an exported file (.onnx, .tflite, .xml, the folder of a SavedModel)")
    add_settings(parser, DetectorSettings, **defaults)


def add_network_files(parser: argparse.ArgumentParser, required: bool = True, more: str = "") -> None:
    """Add the options that name the files of a network.

    Args:
        parser: Where they are added.
        required: Whether the weights have to be given.
        more: Further kinds of weights that the command takes, for its help.
    """
    parser.add_argument(
        "--weights",
        required=required,
        metavar="FILE",
        help=f"network: a .h5, .keras or .weights.h5 file, or Darknet's .weights with --cfg{more}; or the name of a "
        f"published network, fetched if it is not at hand: {', '.join(PUBLISHED)}",
    )
    parser.add_argument("--cfg", metavar="FILE", help="cfg of Darknet weights")
    parser.add_argument("--classes", metavar="FILE", help="class names, one per line, for weights that carry none")
    parser.add_argument("--anchors", metavar="FILE", help="anchors, w,h pairs in pixels, for weights that carry none")


def detector_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options of `add_detector_options` as arguments of `yolo3.inference.loading.load_detector`."""
    return {
        "weights": arguments.weights,
        "classes_path": arguments.classes,
        "anchors_path": arguments.anchors,
        "cfg_path": arguments.cfg,
        **{name: getattr(arguments, name) for name in settings_in(DetectorSettings)},
    }
