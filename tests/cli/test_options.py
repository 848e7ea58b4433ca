"""Options made from settings: each shows the default of its setting, and reads what a user types."""

import argparse
import inspect
import re
from dataclasses import dataclass

import pytest

from yolo3.cli import anchors, benchmark, convert_darknet, detect, detect_results, evaluate, train
from yolo3.cli import options as options_module
from yolo3.cli.data import convert, split, stats
from yolo3.cli.options import add_detector_options, add_settings, detector_options
from yolo3.datasets.split_settings import SplitSettings
from yolo3.inference.settings import DetectorSettings
from yolo3.input.settings import Augmentation
from yolo3.models.yolov3.loss_options import LossOptions
from yolo3.ops.nms_methods import AP_SCORE_THRESHOLD
from yolo3.settings import COUNT, setting, settings_in
from yolo3.training.settings import TrainConfig
from yolo3.training.workload import Workload

SETTINGS_OF = {  # the settings that a command has options for: all of a record, or some
    train: {TrainConfig: None, LossOptions: None, Augmentation: None},
    detect: {DetectorSettings: None},
    evaluate: {DetectorSettings: None, TrainConfig: "format skip_bad"},
    convert: {SplitSettings: None, TrainConfig: "classes skip_bad"},
    split: {SplitSettings: None, TrainConfig: "format classes skip_bad"},
    stats: {TrainConfig: "format classes skip_bad input_size resize"},
    anchors: {TrainConfig: "format classes input_size resize seed"},
    benchmark: {Workload: "model batch_size input_size num_classes steps", TrainConfig: "cache workers"},
}
OWN_DEFAULTS = {
    (evaluate, "score_threshold"): AP_SCORE_THRESHOLD,
    (benchmark, "cache"): "none",
    (convert, "val_split"): None,
}


def options():
    """Each option that is made from a setting, with the default that it has to have."""
    for command, records in SETTINGS_OF.items():
        actions = {action.dest: action for action in command.build_parser()._actions}
        for record, names in records.items():
            for name, (default, described) in settings_in(record).items():
                if described.option if names is None else name in names.split():
                    default = OWN_DEFAULTS.get((command, name), default)
                    yield pytest.param(actions[name], default, described, id=f"{command.__name__}-{name}")


def read(action, text):
    """Return the value that an option has for a text as it is typed."""
    parse = action.type or str
    values = tuple(parse(word) for word in text.split())
    return values if action.nargs else values[0]


@pytest.mark.parametrize("action, default, described", list(options()))
def test_every_option_shows_the_default_of_its_setting(action, default, described):
    assert action.help.startswith(described.text.replace("%", "%%"))
    assert action.default in (default, argparse.SUPPRESS)
    shown = re.search(r" \(default: (.*)\)$", action.help.replace("%%", "%"))
    if described.const is not None:
        assert not shown and not default
    elif default is None or default == ():
        assert (shown and shown[1]) == described.unset
    else:
        assert read(action, shown[1]) == default


@pytest.mark.parametrize(
    "module", [*SETTINGS_OF, convert_darknet, detect_results, options_module], ids=lambda module: module.__name__
)
def test_no_help_text_spells_out_a_default_that_argparse_could_show(module):
    """In the source, a default in help is a word, or taken from a constant: no digit follows "(default: "."""
    assert not re.search(r"\(default: [\d.]", inspect.getsource(module))


@dataclass(frozen=True)
class Baking:
    """A record with a setting of each kind."""

    minutes: int = setting(30, "time in minutes, of 100 % at most", number=COUNT)
    size_wh: tuple[int, int] = setting((20, 30), "width and height in cm", number=COUNT, many=2, flag="--tin")
    fan: bool = setting(False, "with the fan", const=True)
    herbs: tuple[str, ...] = setting((), "herbs", unset="no herbs", choices=("thyme", "sage"), many="+")
    rack: int = setting(3, "no option", option=False)


def baking_parser(**options):
    parser = argparse.ArgumentParser(prog="bake", **options)
    add_settings(parser, Baking)
    return parser


def test_options_are_read_as_their_settings_say():
    words = "--minutes 5 --tin 1 2 --fan --herbs sage thyme".split()
    given = {"minutes": 5, "size_wh": [1, 2], "fan": True, "herbs": ["sage", "thyme"]}
    assert vars(baking_parser().parse_args(words)) == given


def test_options_that_are_not_given_are_defaults_or_absent():
    assert Baking(**vars(baking_parser().parse_args([]))) == Baking()
    assert vars(baking_parser(argument_default=argparse.SUPPRESS).parse_args([])) == {}


def test_the_help_ends_with_the_default():
    text = baking_parser().format_help()
    for words in ("of 100 % at most (default: 30)", "(default: 20 30)", "with the fan\n", "(default: no herbs)"):
        assert words in text


@pytest.mark.parametrize(
    "words, message",
    [
        (["--minutes", "0"], "argument --minutes: expected a whole number above 0, got 0"),
        (["--tin", "1", "x"], "argument --tin: expected a whole number above 0, got x"),
        (["--herbs", "nettle"], "invalid choice: 'nettle'"),
        (["--rack", "1"], "unrecognized arguments: --rack 1"),
    ],
)
def test_values_out_of_range_end_with_status_2(words, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        baking_parser().parse_args(words)
    assert message in capsys.readouterr().err


def test_the_defaults_of_the_detector_are_those_of_its_settings():
    from yolo3.inference.detector import Detector

    parameters = inspect.signature(Detector).parameters
    for name, (default, _) in settings_in(DetectorSettings).items():
        assert parameters[name].default == default, name


def test_every_option_of_the_detector_reaches_it():
    parser = argparse.ArgumentParser()
    add_detector_options(parser, score_threshold=0.5)
    options = detector_options(parser.parse_args(["--weights", "a.h5", "--input-size", "64", "96"]))
    assert options["score_threshold"] == 0.5 and options["input_shape"] == [64, 96]
    assert set(options) == {"weights", "classes_path", "anchors_path", "cfg_path", *settings_in(DetectorSettings)}
