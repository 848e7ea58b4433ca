"""The helpers of keras-yolo3: composition, letterbox, and one annotated image as a sample."""

import inspect
import logging

import cv2
import numpy as np
import pytest
from PIL import Image

from yolo3.compat import utils
from yolo3.compat.utils import get_random_data
from yolo3.datasets.images import read_image
from yolo3.ops.letterbox import letterbox_geometry


@pytest.fixture
def sample_image(tmp_path):
    """An image of 200 x 100 with a black rectangle (50, 40)..(110, 80) on white, and its path."""
    image = Image.new("RGB", (200, 100), (255, 255, 255))
    image.paste((0, 0, 0), (50, 40, 110, 80))
    path = tmp_path / "image.png"
    image.save(path)
    return str(path)


def dark_box(image):
    """Corners of the dark pixels of an image in 0..1."""
    dark = np.argwhere(image.max(-1) < 0.25)
    return [dark[:, 1].min(), dark[:, 0].min(), dark[:, 1].max() + 1, dark[:, 0].max() + 1]


def test_arguments_are_those_of_keras_yolo3():
    assert str(inspect.signature(utils.compose)) == "(*funcs)"
    assert str(inspect.signature(utils.letterbox_image)) == "(image, size)"
    assert str(inspect.signature(utils.rand)) == "(a=0, b=1)"
    # max_boxes was 20 there, and lost the others.
    assert str(inspect.signature(get_random_data)).startswith(
        "(annotation_line, input_shape, random=True, max_boxes=None, jitter=0.3, hue=0.1, sat=1.5, val=1.5, "
        "proc_img=True"
    )


def test_compose_goes_from_left_to_right():
    assert utils.compose(lambda x: x + 1, lambda x: x * 10)(2) == 30
    assert utils.compose(max, str)(3, 5) == "5"
    with pytest.raises(ValueError, match="at least one"):
        utils.compose()


def test_rand_stays_in_its_interval_and_follows_numpys_seed():
    np.random.seed(0)
    first = [utils.rand(2, 3) for _ in range(100)]
    np.random.seed(0)
    assert first == [utils.rand(2, 3) for _ in range(100)]
    assert 2 <= min(first) < max(first) < 3
    assert 0 <= utils.rand() < 1


def test_letterboxed_image_is_centred_on_grey():
    boxed = utils.letterbox_image(Image.new("RGB", (200, 100), (10, 20, 30)), (96, 64))
    assert boxed.size == (96, 64)
    pixels = np.array(boxed)
    assert (pixels[:8] == 128).all() and (pixels[56:] == 128).all()
    assert (pixels[8:56] == [10, 20, 30]).all()


def test_letterbox_of_pillow_has_the_one_geometry():
    # keras-yolo3 truncated here and rounded in the inverse: they disagreed for half of all sizes.
    rng = np.random.default_rng(0)
    for width, height in rng.integers(20, 700, (20, 2)).tolist():
        pixels = np.array(utils.letterbox_image(Image.new("RGB", (width, height), (0, 0, 0)), (96, 64)))
        new_height, new_width, top, left = letterbox_geometry((height, width), (64, 96))
        assert (pixels == 0).all(-1).sum() == new_height * new_width
        assert (pixels[top : top + new_height, left : left + new_width] == 0).all()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_letterbox_takes_any_mode_and_leaves_the_image_alone(mode):
    image = Image.new(mode, (30, 20))
    assert utils.letterbox_image(image, (32, 32)).mode == "RGB"
    assert (image.mode, image.size) == (mode, (30, 20))


def test_letterbox_asks_for_a_pil_image():
    with pytest.raises(TypeError, match="expected a PIL image, got str; use PIL.Image.open"):
        utils.letterbox_image("image.png", (32, 32))


@pytest.mark.parametrize("white", [65535, 4095])
def test_letterbox_shows_images_of_sixteen_bits_as_detect_does(white, tmp_path):
    deep = np.linspace(0, white, 20 * 30).reshape(20, 30).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    boxed = np.array(utils.letterbox_image(Image.open(tmp_path / "deep.png"), (30, 20)))
    np.testing.assert_array_equal(boxed, read_image(tmp_path / "deep.png"))
    assert abs(int(boxed.mean()) - 127) < 3  # white before: everything above 255 of 65535 was cut off


@pytest.mark.parametrize("white", [65535, 4095])
def test_colours_of_sixteen_bits_are_the_same_to_letterbox_and_samples(white, tmp_path):
    values = np.linspace(0, white, 20 * 30).reshape(20, 30).astype(np.uint16)
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), np.dstack([values, values[::-1], values[:, ::-1]]))
    with Image.open(path) as image:
        boxed = np.array(utils.letterbox_image(image, (30, 20)))
    np.testing.assert_array_equal(boxed, read_image(path))
    sample, _ = get_random_data(f"{path} 1,1,9,9,0", (20, 30), random=False)
    np.testing.assert_allclose(sample * 255, boxed, atol=0.01)
    augmented, _ = get_random_data(f"{path} 1,1,9,9,0", (20, 30), jitter=0, hue=0, sat=1, val=1)
    assert abs(augmented.mean() * 255 - boxed.mean()) < 1


def test_a_plain_sample_is_letterboxed(sample_image):
    image, boxes = get_random_data(f"{sample_image} 50,40,110,80,3", (64, 96), random=False)
    assert (image.shape, image.dtype) == ((64, 96, 3), np.float32)
    assert (boxes.shape, boxes.dtype) == ((20, 5), np.float32)
    # Times .48, and 8 down.
    np.testing.assert_allclose(boxes[0], [24, 27.2, 52.8, 46.4, 3], rtol=1e-6)
    assert not boxes[1:].any()
    np.testing.assert_allclose(dark_box(image), boxes[0, :4], atol=1)
    assert image[0, 0].tolist() == [np.float32(128 / 255)] * 3


def test_without_the_image_only_boxes_are_made(sample_image):
    image, boxes = get_random_data(f"{sample_image} 50,40,110,80,3", (64, 96), random=False, proc_img=False)
    assert image == 0
    np.testing.assert_allclose(boxes[0], [24, 27.2, 52.8, 46.4, 3], rtol=1e-6)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.25, 2.0)], ids=["darknet", "keras-yolo3"])
def test_a_random_sample_keeps_boxes_on_their_pixels(sample_image, seed, scale):
    np.random.seed(seed)
    image, boxes = get_random_data(f"{sample_image} 50,40,110,80,3", (64, 96), hue=0, sat=1, val=1, scale=scale)
    assert image.shape == (64, 96, 3) and 0 <= image.min() and image.max() <= 1
    if boxes[0].any():
        np.testing.assert_allclose(dark_box(image), boxes[0, :4], atol=1.6)
        assert boxes[0, 4] == 3
        assert (boxes[0, :2] >= 0).all() and boxes[0, 2] <= 96 and boxes[0, 3] <= 64


def test_the_same_seed_gives_the_same_sample(sample_image):
    samples = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        samples.append(get_random_data(f"{sample_image} 50,40,110,80,3", (64, 96)))
    np.testing.assert_array_equal(samples[0][0], samples[1][0])
    np.testing.assert_array_equal(samples[0][1], samples[1][1])
    assert not np.array_equal(samples[0][0], samples[2][0])


def test_half_of_the_samples_are_mirrored(sample_image):
    np.random.seed(0)
    # The rectangle lies left of the middle; with the image filling the width, mirrored it lies right of it.
    boxes = [get_random_data(f"{sample_image} 10,40,60,80,0", (32, 96), jitter=0)[1][0] for _ in range(60)]
    right = sum((box[0] + box[2]) / 2 > 48 for box in boxes)
    assert 15 < right < 45


def test_colours_change_and_grey_stays_grey_in_hue(sample_image):
    np.random.seed(3)
    image, _ = get_random_data(f"{sample_image} 50,40,110,80,3", (64, 96), hue=0.5, sat=3, val=1)
    assert np.ptp(image, axis=-1).max() < 1e-3  # black, white and grey have no hue


# What went wrong in keras-yolo3


def test_the_aspect_is_jittered_around_that_of_the_image(tmp_path):
    # There it was jittered around that of the network: images of 4:1 came out square.
    path = tmp_path / "wide.png"
    Image.new("RGB", (400, 100)).save(path)
    np.random.seed(0)
    boxes = [get_random_data(f"{path} 0,0,400,100,0", (96, 96))[1][0] for _ in range(80)]
    aspects = [(box[2] - box[0]) / (box[3] - box[1]) for box in boxes]
    assert 3.4 < np.median(aspects) < 4.6
    assert min(aspects) > 4 * 0.7 / 1.3 * 0.9 and max(aspects) < 4 * 1.3 / 0.7 * 1.1


def test_by_default_the_whole_image_stays_on_the_canvas(sample_image):
    # There more than half of the samples were enlarged beyond it.
    np.random.seed(0)
    for _ in range(30):
        _, boxes = get_random_data(f"{sample_image} 0,0,200,100,0 0,0,2,2,1 198,98,200,100,1", (64, 96))
        rows = boxes[:3]
        assert rows[:, 4].tolist().count(1) == 2  # the corners of the image are seen
        whole = rows[rows[:, 4] == 0][0]
        assert np.isclose(whole[2] - whole[0], 96, atol=1) or np.isclose(whole[3] - whole[1], 64, atol=1)


@pytest.mark.parametrize("random", [False, True])
def test_no_box_is_lost_in_a_crowd(sample_image, random):
    line = " ".join([sample_image, *(f"{4 * i},10,{4 * i + 4},90,{i}" for i in range(36))])
    _, boxes = get_random_data(line, (64, 96), random=random)
    assert boxes.shape == (36, 5)
    assert sorted(boxes[:, 4].tolist()) == list(range(36))


def test_boxes_dropped_by_a_requested_limit_are_logged(sample_image, caplog):
    line = " ".join([sample_image, *(f"{4 * i},10,{4 * i + 4},90,{i}" for i in range(36))])
    with caplog.at_level(logging.WARNING):
        _, boxes = get_random_data(line, (64, 96), random=False, max_boxes=30)
    assert boxes.shape == (30, 5)
    assert "dropped 6 of 36 boxes" in caplog.text


def test_thin_boxes_keep_their_height_and_those_without_are_dropped_on_both_paths(sample_image):
    # There a thin box was cut to whole pixels, and became one of height 0.
    for random in (False, True):
        line = f"{sample_image} 10,20,110,21,0 10,20,110,20,1 -50,-50,-10,-10,2"
        _, boxes = get_random_data(line, (64, 96), random=random)
        assert boxes[:, 4].tolist() == [0] * 20 and (boxes[0, 2:4] > boxes[0, :2]).all()
        assert not boxes[1:].any()


def test_boxes_over_the_border_are_clipped_on_both_paths(sample_image):
    for random in (False, True):
        _, boxes = get_random_data(f"{sample_image} -40,-40,400,400,0", (64, 96), random=random)
        assert (boxes[0, :4] >= 0).all() and boxes[0, 2] <= 96 and boxes[0, 3] <= 64


def test_boxes_keep_fractions_of_a_pixel(sample_image):
    _, boxes = get_random_data(f"{sample_image} 51.5,40.25,110,80,3", (64, 96), random=False)
    np.testing.assert_allclose(boxes[0, :2], [51.5 * 0.48, 40.25 * 0.48 + 8], rtol=1e-6)


def test_paths_with_spaces_decimals_and_trailing_commas_are_read(sample_image, tmp_path):
    other = tmp_path / "an image with spaces.png"
    Image.open(sample_image).save(other)
    for line in (f"{other} 50.0,40,110,80.5,3,\n", f'"{other}" 50,40,110,80,3'):
        _, boxes = get_random_data(line, (64, 96), random=False)
        assert boxes[0, 4] == 3 and not boxes[1:].any()


def test_an_image_without_boxes_is_background(sample_image):
    image, boxes = get_random_data(sample_image, (64, 96))
    assert image.shape == (64, 96, 3) and not boxes.any()


@pytest.mark.parametrize("line", ["", "\n", "# a comment"])
def test_blank_lines_say_what_was_expected(line):
    with pytest.raises(ValueError, match="x_min,y_min,x_max,y_max,class_id"):
        get_random_data(line, (64, 96))


def test_bad_boxes_are_reported(sample_image):
    with pytest.raises(ValueError, match="12,33"):
        get_random_data(f"{sample_image} 12,33", (64, 96))


def test_exif_rotation_is_applied_to_pixels_and_sizes(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 50)).save(tmp_path / "turned.jpg", exif=exif)  # upright: 50 x 100
    for proc_img in (True, False):
        _, boxes = get_random_data(f"{tmp_path / 'turned.jpg'} 0,0,50,100,0", (64, 64), random=False, proc_img=proc_img)
        assert boxes[0, :4].tolist() == [16, 0, 48, 64]
