"""A training script as people wrote them after keras-yolo3's: constants, its own model and generator, two stages."""

import os

import numpy as np
from keras.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau, TerminateOnNaN
from keras.layers import Input, Lambda
from keras.models import Model
from keras.optimizers import Adam

from yolo3.model import preprocess_true_boxes, tiny_yolo_body, yolo_loss
from yolo3.utils import get_random_data

ANNOTATIONS = "train.txt"
LOG_DIR = "logs/000/"
CLASSES = "model_data/voc_classes.txt"
ANCHORS = "model_data/tiny_yolo_anchors.txt"
WEIGHTS = "model_data/tiny_yolo_weights.h5"
INPUT_SHAPE = (64, 64)
BATCH_SIZE = 2
VAL_SPLIT = 0.25

with open(CLASSES) as file:
    class_names = [line.strip() for line in file]
with open(ANCHORS) as file:
    anchors = np.array([float(number) for number in file.readline().split(",")]).reshape(-1, 2)
num_classes, num_anchors = len(class_names), len(anchors)


def batches(lines):
    position = 0
    while True:
        images, boxes = [], []
        for _ in range(BATCH_SIZE):
            if position == 0:
                np.random.shuffle(lines)
            image, rows = get_random_data(lines[position], INPUT_SHAPE, random=True)
            images.append(image)
            boxes.append(rows)
            position = (position + 1) % len(lines)
        y_true = preprocess_true_boxes(np.array(boxes), INPUT_SHAPE, anchors, num_classes)
        yield (np.array(images), *y_true), np.zeros(BATCH_SIZE)


def create_training_model():
    height, width = INPUT_SHAPE
    image_input = Input(shape=(None, None, 3))
    y_true = [
        Input(shape=(height // stride, width // stride, num_anchors // 2, num_classes + 5)) for stride in (32, 16)
    ]
    body = tiny_yolo_body(image_input, num_anchors // 2, num_classes)
    body.load_weights(WEIGHTS, by_name=True, skip_mismatch=True)
    for layer in body.layers[: len(body.layers) - 2]:
        layer.trainable = False
    loss = Lambda(
        yolo_loss,
        output_shape=(1,),
        name="yolo_loss",
        arguments={"anchors": anchors, "num_classes": num_classes, "ignore_thresh": 0.7},
    )([*body.output, *y_true])
    return body, Model([body.input, *y_true], loss)


def compile_and_fit(model, learning_rate, first, last):
    model.compile(optimizer=Adam(learning_rate=learning_rate), loss={"yolo_loss": lambda y_true, y_pred: y_pred})
    return model.fit(
        batches(train_lines),
        steps_per_epoch=max(1, len(train_lines) // BATCH_SIZE),
        validation_data=batches(val_lines),
        validation_steps=max(1, len(val_lines) // BATCH_SIZE),
        initial_epoch=first,
        epochs=last,
        callbacks=[checkpoint, reduce_lr, early_stopping, TerminateOnNaN()],
        shuffle=False,
        verbose=0,
    )


os.makedirs(LOG_DIR, exist_ok=True)
with open(ANNOTATIONS) as file:
    all_lines = file.readlines()
np.random.seed(10101)
np.random.shuffle(all_lines)
num_val = int(len(all_lines) * VAL_SPLIT)
train_lines, val_lines = all_lines[num_val:], all_lines[:num_val]

checkpoint = ModelCheckpoint(
    LOG_DIR + "ep{epoch:03d}-loss{loss:.3f}-val_loss{val_loss:.3f}.weights.h5",
    monitor="val_loss",
    save_weights_only=True,
    save_best_only=True,
)
reduce_lr = ReduceLROnPlateau(monitor="val_loss", factor=0.1, patience=3, verbose=0)
early_stopping = EarlyStopping(monitor="val_loss", min_delta=0, patience=10)

body, model = create_training_model()
loaded = body.get_layer("conv_0").get_weights()[0]
first_stage = compile_and_fit(model, 1e-3, 0, 1)
after_first = body.get_layer("conv_0").get_weights()[0]
body.save_weights(LOG_DIR + "trained_weights_stage_1.h5")

for layer in model.layers:
    layer.trainable = True
second_stage = compile_and_fit(model, 1e-4, 1, 2)
body.save_weights(LOG_DIR + "trained_weights_final.h5")
model.save_weights(LOG_DIR + "trained_weights_final.weights.h5")
