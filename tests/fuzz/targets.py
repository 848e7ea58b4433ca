"""Every reader of bytes, with a whole file that it reads."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import h5py
import numpy as np

from tests.models.tiny import METADATA
from yolo3.arrays import read_arrays, write_arrays
from yolo3.darknet.cfg import read_cfg
from yolo3.darknet.layers import resolve_layers
from yolo3.darknet.recipe import recipe_of
from yolo3.darknet.weights import Header, format_header, open_weights
from yolo3.datasets.cache import read_cache, write_cache
from yolo3.datasets.checks import check_dataset
from yolo3.datasets.class_names import read_class_names
from yolo3.datasets.formats.registry import FORMATS, detect_format, list_names, read_dataset
from yolo3.datasets.image_size import image_size
from yolo3.datasets.images import read_image
from yolo3.inference.runtimes.runtime import export_metadata
from yolo3.inference.videos import count_frames, read_frames
from yolo3.models.loading import holds_model, read_layer_arrays
from yolo3.models.metadata import check_array_sizes, read_metadata
from yolo3.models.registry import architecture_from_metadata
from yolo3.models.yolov3.anchors import read_anchors
from yolo3.training.image_lists import read_names
from yolo3.training.run_folder import RunFolder, read_settings
from yolo3.training.settings import TrainConfig, format_config

CFG = """[net]
width=64
height=64
channels=3
learning_rate=0.001
burn_in=10
max_batches=100
policy=steps
steps=40,80
scales=.1,.1
[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
pad=1
activation=leaky
[maxpool]
size=2
stride=2
[convolutional]
filters=18
size=1
activation=linear
[yolo]
mask=0,1,2
anchors=10,14, 23,27, 37,58
classes=1
num=3
ignore_thresh=.6
[route]
layers=-4
[upsample]
stride=2
"""
BOX = {"left": 10, "top": 20, "width": 50, "height": 60}


@dataclass(frozen=True)
class Target:
    """A reader and what it reads.

    Args:
        name: In reports.
        path: The file that is damaged.
        content: Its whole content, which `read` accepts.
        read: Reads it; raises `ValueError` or `OSError` if it cannot.
    """

    name: str
    path: Path
    content: bytes
    read: Callable[[], object]


def build_targets(folder: Path) -> list[Target]:
    """Write the whole files below an empty folder and return all targets."""
    groups = (_annotation_targets, _image_targets, _darknet_targets, _network_targets, _run_targets, _video_targets)
    return [target for group in groups for target in group(folder)]


def _target(name: str, path: Path, read: Callable[[], object]) -> Target:
    return Target(name, path, path.read_bytes(), read)


def _write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _photograph(suffix: str = ".jpg") -> bytes:
    rng = np.random.default_rng(0)
    return cv2.imencode(suffix, cv2.resize(rng.integers(0, 255, (8, 12, 3), np.uint8), (60, 40)))[1].tobytes()


# Annotations

VOC = (
    '<?xml version="1.0"?><annotation><folder>x</folder><filename>a.jpg</filename><path>/home/me/x/a.jpg</path>\n'
    "<size><width>60</width><height>40</height><depth>3</depth></size>\n<object><name>cat</name><difficult>0</difficult>"
    "<bndbox><xmin>11</xmin><ymin>11</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></object></annotation>\n"
)
CVAT = (
    "<annotations><version>1.1</version><meta><task><labels><label><name>cat</name></label></labels></task></meta>"
    '<image id="0" name="a.jpg" subset="train" width="60" height="40"><box label="cat" occluded="0" xtl="10" ytl="10" '
    'xbr="30" ybr="20" z_order="0"></box><polygon label="cat" points="1,2;20,2;20,30"></polygon></image></annotations>'
)
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 60, "height": 40}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 7, "bbox": [10, 10, 20, 10], "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 7, "segmentation": [[1, 2, 20, 2, 20, 30]]},
        {"id": 3, "image_id": 1, "category_id": 7, "segmentation": {"size": [40, 60], "counts": [100, 20, 2280]}},
    ],
    "categories": [{"id": 7, "name": "cat", "supercategory": "animal"}],
}
LABELME = {
    "version": "5.0.1",
    "imagePath": "a.jpg",
    "imageWidth": 60,
    "imageHeight": 40,
    "imageData": None,
    "shapes": [{"label": "cat", "points": [[10, 10], [30, 20]], "shape_type": "rectangle", "group_id": None}],
}
REGION = {"tags": ["cat"], "boundingBox": BOX, "points": [{"x": 1, "y": 2}, {"x": 9, "y": 20}]}
VOTT_ASSET = {"id": "1", "name": "a.jpg", "path": "file:/x/a.jpg", "size": {"width": 60, "height": 40}, "state": 2}
VOTT = {"name": "set", "tags": [{"name": "cat"}], "assets": {"1": {"asset": VOTT_ASSET, "regions": [REGION]}}}
CREATEML = [
    {"image": "a.jpg", "annotations": [{"label": "cat", "coordinates": {"x": 20, "y": 15, "width": 20, "height": 10}}]}
]
TENSORFLOW = "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,60,40,cat,10,10,30,20\n"
RETINANET = "a.jpg,10,10,30,20,cat\na.jpg,1,1,9,9,dog\n"
YAML = "path: .\ntrain: images\nval: images\nnc: 1\nnames: ['cat']\n"

# Format, files besides the image (the first is damaged).
LAYOUTS: dict[str, tuple[str, dict[str, str]]] = {
    "voc": ("voc", {"a.xml": VOC}),
    "voc list": ("voc", {"ImageSets/Main/train.txt": "a\n", "Annotations/a.xml": VOC}),
    "cvat": ("cvat", {"annotations.xml": CVAT}),
    "coco": ("coco", {"train.json": json.dumps(COCO)}),
    "labelme": ("labelme", {"a.json": json.dumps(LABELME)}),
    "vott": ("vott", {"set-export.json": json.dumps(VOTT)}),
    "createml": ("createml", {"_annotations.createml.json": json.dumps(CREATEML)}),
    "csv of tensorflow": ("csv", {"labels.csv": TENSORFLOW}),
    "csv of keras-retinanet": ("csv", {"annotations.csv": RETINANET, "classes.csv": "cat,0\ndog,1\n"}),
    "csv of classes": ("csv", {"classes.csv": "cat,0\ndog,1\n", "annotations.csv": RETINANET}),
    "keras-yolo3": ("keras-yolo3", {"train.txt": "a.jpg 10,10,30,20,0 1,1,9,9,1\n", "classes.txt": "cat\ndog\n"}),
    "yolo labels": ("yolo", {"labels/a.txt": "0 0.5 0.5 0.3 0.2\n", "data.yaml": YAML}),
    "data.yaml": ("yolo", {"data.yaml": YAML, "labels/a.txt": "0 0.5 0.5 0.3 0.2\n"}),
    ".data": (
        "yolo",
        {
            "obj.data": "classes= 1\ntrain = train.txt\nvalid = train.txt\nnames = obj.names\nbackup = backup/\n",
            "train.txt": "images/a.jpg\n",
            "obj.names": "cat\n",
            "images/a.txt": "0 0.5 0.5 0.3 0.2\n",
        },
    ),
    "list of images": (
        "yolo",
        {"train.txt": "images/a.jpg\n", "obj.names": "cat\n", "images/a.txt": "0 0.5 0.5 0.3 0.2\n"},
    ),
}


def _annotation_targets(folder: Path) -> list[Target]:
    missing = set(FORMATS) - {format for format, _ in LAYOUTS.values()}
    assert not missing, f"every format is fuzzed, but for {missing}"
    targets = []
    for name, (format, files) in LAYOUTS.items():
        root = folder / "sets" / name
        _write(root / ("images/a.jpg" if format == "yolo" else "a.jpg"), _photograph())
        paths = [_write(root / file, content) for file, content in files.items()]

        def read(root=root, format=format):
            list_names(root, format)
            dataset = read_dataset(root, format=format)
            for finding in check_dataset(dataset, workers=1)[0]:
                assert len(str(finding).splitlines()) == 1
            return dataset

        assert read().annotations, name
        targets.append(_target(name, paths[0], read))
        targets.append(_target(f"{name}, recognised", paths[0], lambda root=root: detect_format(root)))
    return targets


# Images and videos


def _image_targets(folder: Path) -> list[Target]:
    targets = []
    for suffix in (".jpg", ".png", ".bmp", ".webp", ".tif"):
        path = _write(folder / "images" / f"a{suffix}", _photograph(suffix))

        def read(path=str(path)):
            shape = read_image(path).shape[:2]
            assert shape == image_size(path)

        targets.append(_target(f"image {suffix}", path, read))
    return targets


def _video_targets(folder: Path) -> list[Target]:
    path = folder / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for number in range(6):
        writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    writer.release()

    def read():
        count_frames(str(path))
        for _, _ in zip(read_frames(str(path)), range(50)):
            pass

    return [_target("video", path, read)] if path.exists() and path.stat().st_size else []


# Darknet


def _darknet_targets(folder: Path) -> list[Target]:
    cfg_path = _write(folder / "net.cfg", CFG)
    cfg = read_cfg(cfg_path)

    def read():
        damaged = read_cfg(cfg_path)
        recipe_of(damaged)
        resolve_layers(damaged)

    arrays = np.random.default_rng(0).normal(size=4 * 27 + 4 * 4 + 18 * 4 + 18).astype("<f4")
    weights = _write(folder / "net.weights", format_header(Header(0, 2, 0, 1000)) + arrays.tobytes())
    names = _write(folder / "names.txt", "cat\n# dogs\ndog\n")
    anchors = _write(folder / "anchors.txt", "10,14, 23,27, 37,58\n")
    return [
        _target("cfg", cfg_path, read),
        _target("weights", weights, lambda: [*open_weights(weights, cfg).arrays()]),
        _target("class names", names, lambda: read_class_names(names)),
        _target("anchors", anchors, lambda: read_anchors(anchors)),
    ]


# Networks and runs


def _network_targets(folder: Path) -> list[Target]:
    from keras import Input, Model, layers

    from yolo3.models.saving import save_model

    inputs = Input((8, 8, 3))
    model = Model(inputs, layers.Conv2D(2, 1, name="conv")(inputs))
    targets = []
    for name in ("m.h5", "m.keras", "m.weights.h5"):
        path = folder / name
        save_model(model, path, METADATA)

        def read(path=path):
            metadata = read_metadata(path)
            if metadata is not None:
                architecture_from_metadata(metadata)
            holds_model(path)
            check_array_sizes(path)
            read_layer_arrays(path)

        targets.append(_target(f"network {name}", path, read))

    plain = folder / "plain.h5"
    text = _write(folder / "metadata.json", json.dumps(METADATA))

    def read_text():
        with h5py.File(plain, "w") as file:
            file.attrs["yolo3"] = text.read_bytes().decode(errors="replace").replace("\0", " ")
        metadata = read_metadata(plain)
        if metadata is not None:
            architecture_from_metadata(metadata)

    export = {"outputs": "boxes", "input": "uint8", "batch": None, "precision": "float32", "iou_threshold": 0.45}
    exported = _write(folder / "m.onnx.json", json.dumps(METADATA | {"export": export}))
    return [
        *targets,
        _target("metadata", text, read_text),
        _target("metadata of an exported file", exported, lambda: export_metadata(exported.read_bytes(), exported)),
    ]


def _run_targets(folder: Path) -> list[Target]:
    run = folder / "run"
    settings = _write(run / "settings.json", format_config(TrainConfig(anchors="a.txt")))
    arrays = {"array_0": np.ones((3, 4), np.float32), "array_1": np.zeros(5, np.int64)}
    write_arrays(run / "state.npz", {"progress": np.array(json.dumps({"epoch": 1, "rows": []})), **arrays})
    names = _write(run / "train.txt", "a.jpg\nb/c.jpg\n")
    data = _write(run / "data.json", json.dumps({"train": {"images": 1, "boxes": 2, "digest": "x"}}))
    write_cache(str(folder / "cache.npz"), {"a": 1}, arrays)
    return [
        _target("settings.json", settings, lambda: read_settings(run)),
        _target("state.npz", run / "state.npz", lambda: RunFolder(run).load_state()),
        _target("arrays", run / "state.npz", lambda: read_arrays(run / "state.npz")),
        _target("list of a run", names, lambda: read_names(names)),
        _target("data.json", data, lambda: RunFolder(run).data_summary()),
        _target("cache of a data set", folder / "cache.npz", lambda: read_cache(str(folder / "cache.npz"))),
    ]
