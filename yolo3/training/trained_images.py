"""Which images a network was trained on, kept in its file as short digests of their bytes.

A digest tells an image wherever it lies and whatever it is called, and nothing else about it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any

_BYTES = 6  # of each digest: among 100,000 images a new one is taken for one of them once in three thousand million
_MOST = 1 << 17  # images, about a megabyte of text; COCO has 118,287


def trained_images(digests: Iterable[str]) -> dict[str, Any] | None:
    """Return what the metadata of saved weights holds about the images that were trained on.

    Args:
        digests: Of the images, hexadecimal, as :class:`yolo3.datasets.check_images.ImageCheck` has them.

    Returns:
        {"number", "digests" (base64)}, of more images than a file should carry the number alone; None for no digests.
    """
    short = sorted({bytes.fromhex(digest)[:_BYTES] for digest in digests})
    if not short:
        return None
    if len(short) > _MOST:
        return {"number": len(short)}
    return {"number": len(short), "digests": base64.b64encode(b"".join(short)).decode()}


def count_trained(kept: Any, digests: Iterable[str]) -> int | None:
    """Return how many images were trained on.

    Args:
        kept: What :func:`trained_images` returned.
        digests: Of the images in question, hexadecimal.

    Returns:
        The number; None where `kept` does not tell.
    """
    try:
        content = base64.b64decode(kept["digests"], validate=True)
    except (TypeError, KeyError, ValueError, binascii.Error):
        return None
    if not content or len(content) % _BYTES:
        return None
    known = {content[at : at + _BYTES] for at in range(0, len(content), _BYTES)}
    return sum(bytes.fromhex(digest)[:_BYTES] in known for digest in digests)


def number_unnamed(kept: Any) -> int:
    """Return how many images were trained on where :func:`trained_images` kept their number alone, else 0."""
    number = kept.get("number") if isinstance(kept, dict) and "digests" not in kept else 0
    return number if type(number) is int else 0
