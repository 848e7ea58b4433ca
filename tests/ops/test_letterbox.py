"""Reading images, and the letterbox with its inverse."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from yolo3.datasets.images import read_image
from yolo3.ops import letterbox as images


def gradient_image(height=4, width=6):
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.arange(width) * 30
    image[..., 1] = (np.arange(height) * 50)[:, None]
    image[..., 2] = 200
    return image


def test_an_image_is_read_as_rgb(tmp_path):
    image = gradient_image()
    Image.fromarray(image).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


def test_a_name_with_spaces_and_other_letters_is_read(tmp_path):
    path = tmp_path / "größe of it.png"
    Image.fromarray(gradient_image()).save(path)
    assert read_image(str(path)).shape == (4, 6, 3)


def test_grey_images_have_three_equal_channels(tmp_path):
    Image.fromarray(gradient_image()[..., 0]).save(tmp_path / "grey.png")
    image = read_image(tmp_path / "grey.png")
    assert image.shape == (4, 6, 3)
    np.testing.assert_array_equal(image[..., 0], image[..., 2])


def test_an_alpha_channel_is_dropped(tmp_path):
    image = gradient_image()
    Image.fromarray(np.dstack([image, np.full((4, 6), 10, np.uint8)])).save(tmp_path / "rgba.png")
    np.testing.assert_array_equal(read_image(tmp_path / "rgba.png"), image)


def test_sixteen_bits_become_eight(tmp_path):
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((4, 6), 0x80FF, np.uint16))
    image = read_image(tmp_path / "deep.png")
    assert image.dtype == np.uint8
    assert abs(int(image[0, 0, 0]) - 0x80) <= 1


def test_exif_rotation_is_applied(tmp_path):
    image = Image.new("RGB", (40, 20), (255, 255, 255))
    image.paste((0, 0, 0), (0, 0, 8, 8))  # black top left
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright: black is then top right
    image.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    upright = read_image(tmp_path / "turned.jpg")
    assert upright.shape == (40, 20, 3)
    assert upright[2, 17].max() < 30 < 220 < upright[2, 2].min()


def test_files_that_are_not_images_are_reported(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"not an image")
    (tmp_path / "b.jpg").write_bytes(b"")
    for name in ("a.jpg", "b.jpg"):
        with pytest.raises(ValueError, match=name):
            read_image(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "absent.jpg")


def test_letterbox_geometry_by_hand():
    # 640 x 427 (w x h) in 416 x 416: 427 * 416 / 640 = 277.55, rounded down; (416 - 277) // 2 = 69 above.
    assert images.letterbox_geometry((427, 640), (416, 416)) == (277, 416, 69, 0)
    # 427 x 640 in 320 x 416 (h x w): 427 * 320 / 640 = 213.5, rounded down; (416 - 213) // 2 = 101 on the left.
    assert images.letterbox_geometry((640, 427), (320, 416)) == (320, 213, 0, 101)
    assert images.letterbox_geometry((5000, 1), (416, 416)) == (416, 1, 0, 207)


def test_the_longer_side_always_fills_the_input():
    # keras-yolo3 truncated a product of floats: for 219 of these widths the long side came out at 415.
    for width in range(100, 4001):
        assert images.letterbox_geometry((100, width), (416, 416))[1] == 416


sides = st.integers(1, 3000)


@settings(max_examples=200, deadline=None)
@given(sides, sides, st.integers(1, 40), st.integers(1, 40), st.sampled_from(images.RESIZE_MODES), st.data())
def test_boxes_make_the_round_trip_within_a_hundredth_of_a_pixel(height, width, rows, columns, resize, data):
    image_shape, input_shape = (height, width), (rows * 32, columns * 32)
    fractions = np.array(data.draw(st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4)))
    boxes = (np.sort(fractions.reshape(2, 2), 0) * [width, height]).reshape(1, 4).astype(np.float32)
    network = images.boxes_to_network(boxes, image_shape, input_shape, resize)
    back = images.boxes_to_image(network, image_shape, input_shape, resize)
    # A float32 of the input's 1280 pixels resolves 1/16000; enlarging back multiplies that.
    enlarged = max(image_shape) / min(images.resize_geometry(image_shape, input_shape, resize)[:2])
    np.testing.assert_allclose(back, boxes, atol=0.01 * max(1, enlarged / 50))


@pytest.mark.parametrize("input_shape", [(96, 96), (64, 128), (128, 64)])
@pytest.mark.parametrize("resize", images.RESIZE_MODES)
@pytest.mark.parametrize("image_shape", [(300, 200), (40, 60)])
def test_a_box_lies_where_its_pixels_lie(image_shape, input_shape, resize):
    image = np.full((*image_shape, 3), 255, np.uint8)
    box = np.array([image_shape[1] * 0.25, image_shape[0] * 0.5, image_shape[1] * 0.75, image_shape[0] * 0.9])
    x_min, y_min, x_max, y_max = box.astype(int)
    image[y_min:y_max, x_min:x_max] = 0
    resized = images.resize_image(image, input_shape, resize)
    assert resized.shape == (*input_shape, 3)
    dark = np.argwhere(resized[..., 0] < 128)
    seen = np.array([dark[:, 1].min(), dark[:, 0].min(), dark[:, 1].max() + 1, dark[:, 0].max() + 1])
    expected = images.boxes_to_network(box.astype(int)[None], image_shape, input_shape, resize)[0]
    np.testing.assert_allclose(seen, expected, atol=1.1)


def test_a_letterboxed_image_lies_on_grey_and_a_stretched_one_fills_the_input():
    image = np.full((50, 100, 3), 7, np.uint8)
    resized = images.resize_image(image, (64, 64))  # 32 rows of image, 16 of grey above and below
    assert (resized[:16] == images.GREY).all() and (resized[48:] == images.GREY).all()
    assert (resized[16:48] == 7).all()
    assert (images.resize_image(image, (64, 64), "stretch") == 7).all()


def test_an_unknown_way_to_resize_is_refused():
    with pytest.raises(ValueError, match="letterbox, stretch"):
        images.resize_geometry((10, 10), (32, 32), "crop")


def test_arguments_are_left_unchanged():
    image, boxes = gradient_image(), np.array([[1.0, 1, 3, 3]])
    image_before, boxes_before = image.copy(), boxes.copy()
    images.resize_image(image, (32, 32))
    images.boxes_to_network(boxes, (4, 6), (32, 32))
    images.boxes_to_image(boxes, (4, 6), (32, 32))
    np.testing.assert_array_equal(image, image_before)
    np.testing.assert_array_equal(boxes, boxes_before)


def test_no_boxes_stay_no_boxes():
    assert images.boxes_to_network(np.zeros((0, 4)), (10, 20), (32, 32)).shape == (0, 4)


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_boxes_of_many_images_are_mapped_as_those_of_one(resize):
    rng = np.random.default_rng(0)
    shapes = rng.integers(1, 900, (7, 2))[rng.integers(0, 7, 40)]
    boxes = rng.uniform(-5, 900, (40, 4)).astype(np.float32)
    one_by_one = [
        images.boxes_to_network(box, shape, (320, 416), resize)[0] for box, shape in zip(boxes, shapes.tolist())
    ]
    np.testing.assert_array_equal(images.boxes_to_network_each(boxes, shapes, (320, 416), resize), one_by_one)
    assert images.boxes_to_network_each(np.zeros((0, 4)), np.zeros((0, 2)), (320, 416), resize).shape == (0, 4)
