"""Validate with a network that knows the answers but for noise; run as a script, this file prints what came out.

Devices have to be made before TensorFlow computes, so that this takes a process of its own, or several with TF_CONFIG.
"""

import json
import sys
from types import SimpleNamespace

from tests.training.test_validation import NAMES, SHAPE, Knows
from yolo3.datasets.formats.registry import read_dataset
from yolo3.input import batches
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS
from yolo3.models.yolov3.architecture import YoloV3
from yolo3.training.cluster import task_of_environment
from yolo3.training.devices import build_strategy
from yolo3.training.settings import TrainConfig
from yolo3.training.step import Trainer
from yolo3.training.validation import Validator

BATCH_SIZE = 5  # the twelve images are batches of 5, 5 and 2


def main(data: str, devices: str) -> None:
    strategy = build_strategy(devices, task_of_environment())
    annotations = read_dataset(data, list_name="train", class_names=NAMES).annotations
    architecture = YoloV3.from_name("yolov3-tiny", 3, anchors=DEFAULT_TINY_ANCHORS)
    trainer = SimpleNamespace(
        config=TrainConfig(anchors="none", input_size=SHAPE, batch_size=BATCH_SIZE),
        strategy=strategy,
        architecture=architecture,
        batch_terms=lambda *arguments: Trainer.batch_terms(trainer, *arguments),
        inference_network=Knows(annotations, certainty=3.0, noise=0.5),
    )

    read, read_image = [], batches.read_image
    batches.read_image = lambda path: (read.append(path), read_image(path))[1]
    row, detections, _ = Validator(trainer, annotations, NAMES).run()
    found = [[part.tolist() for part in (item.boxes, item.scores, item.class_ids)] for item in detections]
    print(json.dumps({"row": row, "detections": found, "read": sorted(read)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
