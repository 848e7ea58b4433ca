"""An image that cannot be read while batches are made is named in one line."""

import pytest
import tensorflow as tf

from tests.datasets.image_files import encoded, photo
from tests.input.images import annotated, opened
from yolo3.input.batches import validation_batches
from yolo3.input.reading import unreadable_image


def message_of(dataset):
    with pytest.raises(tf.errors.OpError) as raised:
        list(dataset)
    return unreadable_image(raised.value)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(photo(), "JPEG"))
    return path


def test_a_removed_image_is_named(image):
    store = opened([annotated(image)])
    image.unlink()
    assert message_of(tf.data.Dataset.range(1).map(store.read)) == f"{image}: No such file or directory"


def test_a_damaged_image_is_named(image):
    batches = validation_batches([annotated(image)], batch_size=1, input_shape=(32, 32), resize="letterbox")
    image.write_bytes(b"\xff\xd8 no image")
    message = message_of(batches)
    assert message == f"{image}: expected an image, got 11 bytes that cannot be decoded"


def test_a_name_of_two_lines_stays_one_line(tmp_path):
    path = tmp_path / "two\nlines\x1b[31m.png"
    path.write_bytes(encoded(photo(), "PNG"))
    store = opened([annotated(path)])
    path.unlink()
    message = message_of(tf.data.Dataset.range(1).map(store.read))
    assert message == f"{tmp_path}/two\\nlines\\x1b[31m.png: No such file or directory"


def test_other_errors_of_tensorflow_name_no_image():
    assert unreadable_image(tf.errors.InvalidArgumentError(None, None, "shapes do not fit")) is None
