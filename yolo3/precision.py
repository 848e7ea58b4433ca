"""Numeric precision: float32, or half precision where the hardware supports it."""

from __future__ import annotations

import contextlib

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
DETECTION_PRECISIONS = ("auto", "float32", "bfloat16")
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}  # Keras' dtype policies
_BFLOAT16_CAPABILITY = (8, 0)  # CUDA compute capability from which GPUs support it: Ampere


def accelerator() -> str | None:
    """Return the name of the first GPU, None without one."""
    import tensorflow as tf

    gpus = tf.config.list_logical_devices("GPU")
    return gpus[0].name if gpus else None


def choose_precision(precision: str) -> str:
    """Return the precision to compute in: for "auto" bfloat16 where the hardware supports it, else float32."""
    if precision != "auto":
        return precision
    return "bfloat16" if _supports_bfloat16() else "float32"


def _supports_bfloat16() -> bool:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return capability >= _BFLOAT16_CAPABILITY

    # Without a GPU: what the processor says, on Linux.
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


@contextlib.contextmanager
def dtype_policy(name: str):
    """Build layers within this context under a Keras dtype policy; the former policy is restored afterwards."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
