"""Networks of YOLOv1 that are built quickly."""

import dataclasses

import pytest

from yolo3.models.yolov1.networks import DESIGNS


@pytest.fixture
def slim(monkeypatch):
    """Both designs with a sixteenth of their filters: all layers and names."""

    def thin(design):
        body = tuple((filters // 16, *rest) for filters, *rest in design.body)
        return dataclasses.replace(design, body=body, dense_width=design.dense_width and 32)

    for name, design in DESIGNS.items():
        monkeypatch.setitem(DESIGNS, name, thin(design))
