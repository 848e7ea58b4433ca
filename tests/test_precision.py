"""Precision: the one asked for, and policies that end; no GPU where there is none."""

from pathlib import Path
from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf

from yolo3.precision import accelerator, choose_precision, dtype_policy


def test_precision_is_the_one_asked_for_or_one_that_the_machine_supports():
    assert [choose_precision(name) for name in ("float32", "bfloat16", "float16")] == ["float32", "bfloat16", "float16"]


@pytest.mark.parametrize(
    "flags, expected", [("fma avx512f avx512_bf16", "bfloat16"), ("amx_bf16", "bfloat16"), ("fma avx2", "float32")]
)
def test_auto_is_half_precision_where_the_processor_supports_it(flags, expected, monkeypatch, tmp_path):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    (tmp_path / "cpuinfo").write_text(f"processor: 0\nflags\t\t: {flags}\n")
    monkeypatch.setattr("builtins.open", lambda path: (tmp_path / Path(path).name).open())
    assert choose_precision("auto") == expected


def test_a_dtype_policy_ends_with_its_block():
    before = keras.config.dtype_policy().name
    with pytest.raises(RuntimeError), dtype_policy("mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        raise RuntimeError
    assert keras.config.dtype_policy().name == before


def test_the_accelerator_is_the_first_gpu_or_none(monkeypatch):
    gpus = tf.config.list_logical_devices("GPU")
    assert accelerator() == (gpus[0].name if gpus else None)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [SimpleNamespace(name=f"/device:{kind}:0")] * 2)
    assert accelerator() == "/device:GPU:0"
