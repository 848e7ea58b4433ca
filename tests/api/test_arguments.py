"""Arguments of Python calls: types, wrong names, and options that become arguments in messages."""

from pathlib import Path

import numpy as np
import pytest

from yolo3.api.train import ARGUMENTS


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


def test_no_message_of_training_and_data_names_an_option_that_the_call_does_not_know():
    """Messages that `train` can raise or print: their options are arguments, or belong to a command in them."""
    import ast
    import re

    import yolo3

    root, left = Path(yolo3.__file__).parent, []
    for path in [*(root / "training").glob("*.py"), *(root / "input").glob("*.py"), *(root / "models").rglob("*.py")]:
        if path.name in ("settings.py", "benchmark.py", "workload.py"):
            continue
        tree = ast.parse(path.read_text())
        texts = {node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)}
        inner = {part for node in texts for part in ast.walk(node) if part is not node}
        for node in ast.walk(tree):
            if isinstance(node, (ast.JoinedStr, ast.Constant)) and node not in inner and "--" in ast.unparse(node):
                text = ast.unparse(node).replace("{", "").replace("}", "")
                if "yolo3 " not in text and "\\n" not in text and re.search(r"--[a-z]", ARGUMENTS.words(text)):
                    left.append(f"{path.name}:{node.lineno}: {text}")
    assert left == []
