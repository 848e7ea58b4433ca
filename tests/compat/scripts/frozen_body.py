"""A fine-tuning notebook: functions imported from train.py, a frozen body, ``fit_generator``, lists, old file names."""

import keras
import numpy as np

from yolo3.compat.train import create_tiny_model, get_anchors, get_classes
from yolo3.model import preprocess_true_boxes
from yolo3.utils import get_random_data

class_names = get_classes("model_data/voc_classes.txt")
anchors = get_anchors("model_data/tiny_yolo_anchors.txt")
input_shape = (64, 64)
with open("train.txt") as file:
    lines = file.readlines()


def generator(lines, batch_size):
    while True:
        chosen = np.random.choice(lines, batch_size)
        samples = [get_random_data(line, input_shape) for line in chosen]
        images = np.array([image for image, _ in samples])
        boxes = np.array([rows for _, rows in samples])
        yield [images, *preprocess_true_boxes(boxes, input_shape, anchors, len(class_names))], np.zeros(batch_size)


model = create_tiny_model(
    input_shape, anchors, len(class_names), freeze_body=1, weights_path="model_data/tiny_yolo_weights.h5"
)
before = model.get_layer("conv_0").get_weights()[0], model.get_layer("conv_9").get_weights()[0]
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss={"yolo_loss": lambda y_true, y_pred: y_pred})
history = model.fit_generator(
    generator(lines, 2),
    steps_per_epoch=max(1, len(lines) // 2),
    epochs=1,
    validation_data=generator(lines, 2),
    validation_steps=1,
    max_queue_size=1,
    workers=2,
    verbose=0,
)
after = model.get_layer("conv_0").get_weights()[0], model.get_layer("conv_9").get_weights()[0]
model.save_weights("trained_weights_final.h5")
