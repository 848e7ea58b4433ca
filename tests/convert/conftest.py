"""A small network of Darknet's, to convert."""

import pytest

from tests.darknet.networks import YOLO, random_weights, text_of
from yolo3.darknet.cfg import read_cfg
from yolo3.darknet.weights import Header


@pytest.fixture
def files(tmp_path):
    """Write a cfg with Windows line endings and a comment, weights with an old header, and names; return the paths."""
    cfg_path, weights_path, names_path = (tmp_path / f"net.{suffix}" for suffix in ("cfg", "weights", "names"))
    cfg_path.write_bytes(("# mine\n" + text_of(YOLO)).replace("\n", "\r\n").encode())
    random_weights(weights_path, read_cfg(cfg_path), Header(0, 1, 3, 12345, 4))
    names_path.write_text("cat\ndog\n")
    return cfg_path, weights_path, names_path
