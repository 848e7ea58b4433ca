"""The names of the formats, for help: no format is imported for it.

One line per format, in the order of help and messages. Of the formats that a folder holds the first is taken: the
richest, and the one that others are made of.
"""

from typing import NamedTuple


class OwnFormat(NamedTuple):
    """A format of this package.

    Args:
        module: Module in this folder that defines it as `FORMAT`.
        description: A few words for the help of `--format`.
    """

    module: str
    description: str


OWN_FORMATS = {
    "voc": OwnFormat("pascal_voc", "Pascal VOC, an XML file per image"),
    "coco": OwnFormat("coco", "COCO's JSON"),
    "cvat": OwnFormat("cvat", "CVAT for images, XML"),
    "labelme": OwnFormat("labelme", "LabelMe, a JSON file per image"),
    "vott": OwnFormat("vott", "VoTT 2, JSON of assets or of the export"),
    "createml": OwnFormat("createml", "CreateML, JSON with centres of boxes"),
    "csv": OwnFormat("csv_boxes", "CSV, a box per row: TensorFlow's tutorials, keras-retinanet, VoTT"),
    "keras-yolo3": OwnFormat("keras_yolo3", "text, an image and its boxes per line"),
    "yolo": OwnFormat("yolo_txt", "YOLO's text files, one per image, with or without data.yaml"),
}
DESCRIPTIONS = {name: format.description for name, format in OWN_FORMATS.items()}
"""Of all formats; those from outside are added as they are registered."""
