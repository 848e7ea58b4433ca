"""Networks that are published, by name: where their files are found, fetched from, and checked against.

Files are looked for in, and fetched into, the folder that the environment variable YOLO3_WEIGHTS names, else
`yolo3/weights` in the user's cache folder. Nothing is fetched that was not asked for by name.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from yolo3.darknet.cfg import Cfg, cfg_bytes, read_cfg, replace_option
from yolo3.files import free_bytes, replace_bytes, user_cache
from yolo3.models.yolov3.defaults import OFFICIAL_TINY_MASK, AnchorMask
from yolo3.temporary import put_in_place, temporary_path

VARIABLE = "YOLO3_WEIGHTS"
_TIMEOUT = 30  # seconds without an answer
_PJREDDIE = "https://pjreddie.com/media/files"
_PJREDDIE_CFG = "https://raw.githubusercontent.com/pjreddie/darknet/master/cfg"
_ALEXEYAB = "https://github.com/AlexeyAB/darknet/releases/download/darknet_yolo_v3_optimal"
_NANO = "https://github.com/dog-qiuqiu/MobileNet-Yolo/raw/master/MobileNetV2-YOLOv3-Nano/COCO"


class NetworkFiles(NamedTuple):
    """Paths of the files of a published network.

    Attributes:
        cfg: Its Darknet cfg, with the masks that its weights were trained with.
        weights: Its Darknet weights.
    """

    cfg: str
    weights: str


@dataclass(frozen=True)
class PublishedFile:
    """A file that its authors publish.

    Args:
        name: Its file name.
        urls: Where it is published, in the order in which they are tried.
        size: In bytes.
        sha256: Hexadecimal digest, "" where none is known.
    """

    name: str
    urls: tuple[str, ...]
    size: int
    sha256: str = ""


@dataclass(frozen=True)
class PublishedNetwork:
    """A network with its weights.

    Args:
        cfg: Its Darknet cfg.
        weights: Its Darknet weights.
        trained_on: Data that the weights have learned.
        license: Of the weights.
        model: Name of the same network in `yolo3.models.registry.MODELS`, None for another.
        anchor_mask: Indices of the anchors of each [yolo] section where the weights were trained with others than the
            cfg says.
        learning_rate: Peak of the rate with which runs that start from the weights do best with Adam; None where the
            default of all runs is as good, or was not compared.
    """

    cfg: PublishedFile
    weights: PublishedFile
    trained_on: str
    license: str = "public domain (Darknet's license)"
    model: str | None = None
    anchor_mask: AnchorMask | None = None
    learning_rate: float | None = None


_YOLOV3_CFG = PublishedFile(
    "yolov3.cfg",
    (f"{_PJREDDIE_CFG}/yolov3.cfg",),
    8342,
    "22489ea38575dfa36c67a90048e8759576416a79d32dc11e15d2217777b9a953",
)

PUBLISHED = MappingProxyType(
    {
        "yolov3": PublishedNetwork(
            _YOLOV3_CFG,
            PublishedFile(
                "yolov3.weights",
                (f"{_PJREDDIE}/yolov3.weights", f"{_ALEXEYAB}/yolov3.weights"),
                248_007_048,
                "523e4e69e1d015393a1b0a441cef1d9c7659e3eb2d7e15f793f060a21b32f297",
            ),
            "COCO",
            model="yolov3",
        ),
        "yolov3-tiny": PublishedNetwork(
            PublishedFile(
                "yolov3-tiny.cfg",
                (f"{_PJREDDIE_CFG}/yolov3-tiny.cfg",),
                1915,
                "84eb7a675ef87c906019ff5a6e0effe275d175adb75100dcb47f0727917dc2c7",
            ),
            PublishedFile(
                "yolov3-tiny.weights",
                (f"{_PJREDDIE}/yolov3-tiny.weights",),
                35_434_956,
                "dccea06f59b781ec1234ddf8d1e94b9519a97f4245748a7d4db75d5b7080a42c",
            ),
            "COCO",
            model="yolov3-tiny",
            anchor_mask=OFFICIAL_TINY_MASK,
            learning_rate=3e-3,
        ),
        "yolov3-spp": PublishedNetwork(
            PublishedFile(
                "yolov3-spp.cfg",
                (f"{_PJREDDIE_CFG}/yolov3-spp.cfg",),
                8606,
                "7a4ec2d7427340fb12059f2b0ef76d6fcfcac132cc287cbbf0be5e3abaa856fd",
            ),
            PublishedFile(
                "yolov3-spp.weights",
                (f"{_PJREDDIE}/yolov3-spp.weights", f"{_ALEXEYAB}/yolov3-spp.weights"),
                252_209_544,
                "87a1e8c85c763316f34e428f2295e1db9ed4abcec59dd9544f8052f50de327b4",
            ),
            "COCO",
        ),
        "yolov3-nano": PublishedNetwork(
            PublishedFile(
                "MobileNetV2-YOLOv3-Nano-coco.cfg",
                (f"{_NANO}/MobileNetV2-YOLOv3-Nano-coco.cfg",),
                7000,
                "f9c93b9167275c94975984c8b1d8adbff990f2e3a983adc79d02e748d6ed763b",
            ),
            PublishedFile(
                "MobileNetV2-YOLOv3-Nano-coco.weights",
                (f"{_NANO}/MobileNetV2-YOLOv3-Nano-coco.weights",),
                3_564_300,
                "60a6c2a86735fd39ff54d61f9a16f3ac3fe24a8b2e0d7740585bf2b54a5db81a",
            ),
            "COCO",
        ),
        "darknet53.conv.74": PublishedNetwork(
            _YOLOV3_CFG,
            PublishedFile("darknet53.conv.74", (f"{_PJREDDIE}/darknet53.conv.74",), 162_482_580),
            "ImageNet (the backbone alone)",
            model="yolov3",
        ),
    }
)
"""The networks by name."""


def find_network(name: str, fetch: bool = False) -> NetworkFiles | None:
    """Return where the files of a published network are.

    Args:
        name: One of `PUBLISHED`.
        fetch: Whether a file that is not at hand is fetched, with a progress bar.

    Returns:
        The paths; None if a file is not at hand and is not to be fetched.

    Raises:
        ValueError: In one line, for a file of another size or content than the published one, and where none can be
            fetched: it says which file to put where.
    """
    network = PUBLISHED[name]
    files = (network.cfg, network.weights)
    missing = [file for file in files if not _at_hand(file)]
    if missing and not fetch:
        return None
    for file in missing:
        _fetch(file, [other for other in missing if not _at_hand(other)])
    cfg, weights = (os.path.join(weights_folder(), file.name) for file in files)
    return NetworkFiles(_with_masks(network, name, cfg), weights)


def is_published_name(weights: str | os.PathLike) -> bool:
    """Return whether text that may be a path is the name of a published network; a file of that name comes first."""
    return os.fspath(weights) in PUBLISHED and not os.path.exists(weights)


def describe_published() -> dict[str, str]:
    """Return the published networks with what they are trained on, and their size, in words."""
    return {name: f"{entry.trained_on}, {entry.weights.size / 1e6:.0f} MB" for name, entry in PUBLISHED.items()}


def weights_folder() -> str:
    """Return the folder where published files are kept; it need not exist."""
    return os.environ.get(VARIABLE) or _own_folder()


def _own_folder() -> str:
    return os.path.join(user_cache(), "weights")


def _at_hand(file: PublishedFile) -> bool:
    path = os.path.join(weights_folder(), file.name)
    if not os.path.isfile(path):
        return False
    if os.path.getsize(path) != file.size:
        raise ValueError(
            f"{path}: expected the published file of {file.size:,} bytes, got {os.path.getsize(path):,}"
            f"{_as_page(path)}; remove it, and it is fetched again"
        )
    return True


def _fetch(file: PublishedFile, missing: Sequence[PublishedFile]) -> None:
    """Fetch a file into the folder of published files; an error names all that is missing."""
    folder = weights_folder()
    reasons = []
    for url in file.urls:
        try:
            os.makedirs(folder, exist_ok=True)
            if free_bytes(folder) < file.size:
                raise OSError(f"there is no room for {file.size:,} bytes")
            return _fetch_from(url, file, os.path.join(folder, file.name))
        except (OSError, ValueError) as error:
            reasons.append(f"{url}: {error}")
    wanted = " and ".join(f"{other.name} ({other.size:,} bytes, from {other.urls[0]})" for other in missing)
    raise ValueError(
        f"{file.name}: could not be fetched ({'; '.join(reasons)}); put {wanted} into {folder}, or name their folder "
        f"with the environment variable {VARIABLE}, or give your own files with --cfg FILE --weights FILE"
    )


def _fetch_from(url: str, file: PublishedFile, path: str) -> None:
    from keras.utils import get_file

    temporary = temporary_path(path)
    try:
        with _timeout(_TIMEOUT):
            try:
                get_file(temporary.name, url, cache_dir=str(temporary.parent), cache_subdir=".", force_download=True)
            except Exception as error:  # Keras raises a plain Exception
                raise OSError(str(error).removeprefix(f"URL fetch failure on {url}: ")) from error
        size = os.path.getsize(temporary)
        if size != file.size:
            raise ValueError(f"expected {file.size:,} bytes, got {size:,}{_as_page(temporary)}")
        if file.sha256 and _sha256(temporary) != file.sha256:
            raise ValueError(f"expected the SHA-256 {file.sha256}, got {_sha256(temporary)}")
        put_in_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    """Let connections that are opened in a block fail after a time without an answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _as_page(path: str | os.PathLike) -> str:
    """Return words for a web page in place of a file, "" for anything else."""
    with open(path, "rb") as file:
        start = file.read(512).lstrip().lower()
    return " of a web page (HTML), not of the file" if start.startswith((b"<!doctype", b"<html", b"<head")) else ""


def _sha256(path: str | os.PathLike) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _with_masks(network: PublishedNetwork, name: str, cfg_path: str) -> str:
    """Return the path of a cfg with the masks of the weights: a file in the user's cache folder if they differ."""
    if not network.anchor_mask:
        return cfg_path
    cfg = _replace_masks(read_cfg(cfg_path), network.anchor_mask)
    path = os.path.join(_own_folder(), f"{name}-masks.cfg")
    content = cfg_bytes(cfg)
    if not os.path.isfile(path) or Path(path).read_bytes() != content:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        replace_bytes(path, content)
    return path


def _replace_masks(cfg: Cfg, anchor_mask: AnchorMask) -> Cfg:
    for index, mask in enumerate(anchor_mask):
        heads = [section for section in cfg.layers if section.name == "yolo"]
        cfg = replace_option(cfg, heads[index], "mask", ",".join(map(str, mask)))
    return cfg
