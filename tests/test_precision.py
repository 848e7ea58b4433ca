"""Precision: the one asked for, and policies that end."""

import keras
import pytest

from yolo3.precision import choose_precision, dtype_policy


def test_precision_is_the_one_asked_for_or_one_that_the_machine_has():
    assert [choose_precision(name) for name in ("float32", "bfloat16", "float16")] == ["float32", "bfloat16", "float16"]
    assert choose_precision("auto") in ("float32", "bfloat16")


def test_a_dtype_policy_ends_with_its_block():
    before = keras.config.dtype_policy().name
    with pytest.raises(RuntimeError), dtype_policy("mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        raise RuntimeError
    assert keras.config.dtype_policy().name == before
