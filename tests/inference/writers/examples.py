"""Shots and detections that the tests of all writers write."""

import numpy as np

from yolo3.detections import Detections
from yolo3.inference.sources import Shot, Source
from yolo3.inference.writers.writer import writing

NAMES = ["dog", "žába/frog"]
STILL = Source("image", "in/a.png", "a")
EMPTY = Source("image", "in/b.png", "sub/b")
VIDEO = Source("video", "in/clip.avi", "clip")
IMAGE = np.random.default_rng(0).integers(0, 255, (40, 80, 3), np.uint8)
FOUND = Detections([[8, 10, 24, 30], [0, 0, 80.0, 40.0]], [0.875, 0.5], [1, 0])
NOTHING = Detections(np.zeros((0, 4)), [], [])


def frame(number, rate=10.0):
    return Shot(VIDEO, f"clip/{number:06d}", IMAGE, number, number / rate, rate)


SHOTS = [(Shot(STILL, "a", "in/a.png"), FOUND), (Shot(EMPTY, "sub/b", "in/b.png"), NOTHING), (frame(7), FOUND)]


def write(*writers, shots=SHOTS):
    with writing(writers):
        for shot, found in shots:
            for writer in writers:
                writer.add(shot, IMAGE, found)


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
