"""Arguments of Python calls: types, wrong names, and options that become arguments in messages."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import yolo3
from yolo3.api.train import ARGUMENTS
from yolo3.arguments import Arguments, options_in_messages
from yolo3.convert import to_darknet
from yolo3.datasets.formats import registry
from yolo3.export import settings as export_settings
from yolo3.inference import detector, loading


def test_a_wrong_name_gets_the_nearest_right_one():
    for wrong, right in (("epoch", "epochs"), ("batchsize", "batch_size"), ("input_shape", "input_size")):
        with pytest.raises(
            TypeError, match=rf"^train\(\) got an unexpected argument '{wrong}'; did you mean '{right}'"
        ):
            ARGUMENTS.checked({wrong: 1})
    with pytest.raises(TypeError, match="unexpected argument 'qqqq'; it takes resume, .*epochs"):
        ARGUMENTS.checked({"qqqq": 1})


def test_values_may_be_paths_lists_dicts_and_numpys_numbers():
    given = {"data": Path("a/b"), "input_size": [64, np.int64(96)], "epochs": np.int32(3), "learning_rate": 1}
    assert ARGUMENTS.checked(given) == {"data": "a/b", "input_size": (64, 96), "epochs": 3, "learning_rate": 1}
    assert ARGUMENTS.checked({"model_options": {"grid_size": 7}})["model_options"] == (("grid_size", 7),)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"epochs": "3"}, "epochs: expected a whole number, got '3'"),
        ({"epochs": 2.5}, "epochs: expected a whole number, got 2.5"),
        ({"input_size": 416}, "input_size: expected a list, got 416"),
        ({"mosaic": None}, "mosaic: expected a number, got None"),
        ({"classes": ["cat", "dog"]}, "classes: expected the path of a file or folder, got ['cat', 'dog']"),
    ],
)
def test_a_value_of_another_type_is_named_by_its_argument(given, message):
    with pytest.raises(ValueError) as caught:
        ARGUMENTS.checked(given)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "option, argument",
    [
        ("2 invalid annotations; fix them, or skip them with --skip-bad", "them, or skip them with skip_bad=True"),
        ("No --data given: training on", "No data given: training on"),
        ("--recipe darknet: expected --cfg FILE with it", "recipe='darknet': expected cfg=FILE with it"),
        ("resume it with --resume runs/a", "resume it with resume='runs/a'"),
        ("--val-list val needs --train-list, or", "val_list val needs train_list, or"),
        ("lower --batch-size or --input-size (OOM)", "lower batch_size or input_size (OOM)"),
        ("do not keep them (--cache none)", "do not keep them (cache='none')"),
        ("or lower --learning-rate", "or lower learning_rate"),
        ("or --clip-norm 10.", "or clip_norm=10."),
        ("--log wandb: expected the package", "log='wandb': expected the package"),
        ("continue with yolo3 train --resume r, which", "continue with yolo3 train --resume r, which"),
        ("`yolo3 anchors --data DATA --num-anchors 9` fits", "`yolo3 anchors --data DATA --num-anchors 9` fits"),
        ("pip install --upgrade x", "pip install --upgrade x"),
    ],
)
def test_messages_name_arguments_where_the_command_names_options(option, argument):
    assert ARGUMENTS.words(option).endswith(argument)


def test_the_outermost_call_names_its_arguments_and_a_command_its_options():
    inner = Arguments("inner", (), own=("names_path",), names={"classes": "names_path"}, valued=("names_path",))
    outer = Arguments("outer", (), own=("classes",), names={"limit": "most"}, valued=("classes",))

    @inner.in_messages()
    def fail(message):
        raise ValueError(message)

    def message_of(call, message="limit: expected 1; give --classes FILE"):
        with pytest.raises(ValueError) as caught:
            call(message)
        return str(caught.value)

    assert message_of(fail) == "limit: expected 1; give names_path=FILE"
    assert message_of(outer.in_messages()(fail)) == "most: expected 1; give classes=FILE"
    assert message_of(options_in_messages()(fail)) == "limit: expected 1; give --classes FILE"
    assert message_of(fail) == "limit: expected 1; give names_path=FILE", "nothing is left of the calls before"
    assert message_of(outer.in_messages()(fail), "the limit: expected 2") == "the limit: expected 2"


def options_left(paths, *calls):
    """Messages in files, with an option that none of the calls names as an argument and no command in them has."""
    left = []
    for path in paths:
        tree = ast.parse(path.read_text())
        texts = {node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)}
        inner = {part for node in texts for part in ast.walk(node) if part is not node}
        inner |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, (ast.JoinedStr, ast.Constant)) and node not in inner and "--" in ast.unparse(node):
                text = ast.unparse(node).replace("{", "").replace("}", "")
                named = [call.words(text) for call in calls]
                if "yolo3 " not in text and all(re.search("--[a-z]", each) for each in named):
                    left.append(f"{path.name}:{node.lineno}: {text}")
    return left


def files_of(folders, but=()):
    root = Path(yolo3.__file__).parent
    return [path for folder in folders for path in (root / folder).rglob("*.py") if path.name not in but]


def test_no_message_of_training_and_data_names_an_option_that_the_call_does_not_know():
    """Messages that `train` can raise or print: their options are arguments, or belong to a command in them."""
    commands_own = {"settings.py", "benchmark.py", "workload.py"}
    assert options_left(files_of(("training", "input", "models"), commands_own), ARGUMENTS) == []


def test_no_message_of_networks_in_use_names_an_option_that_no_call_knows():
    """Those of commands alone are left out: what `detect` prints and writes, its cameras, lists of `yolo3 data`."""
    commands_own = {"summary.py", "drawn.py", "sources.py", "write_lists.py", "add_lists.py", "check_findings.py"}
    folders = "inference", "models", "compat", "detectors", "export", "convert", "datasets"
    calls = (
        detector._ARGUMENTS,
        loading._ARGUMENTS,
        registry._ARGUMENTS,
        to_darknet._ARGUMENTS,
        export_settings.ARGUMENTS,
    )
    left = options_left(files_of(folders, commands_own), *calls)
    assert [line for line in left if not re.search("'--[a-z-]+'$|labelme --labels", line)] == []  # flags of settings
