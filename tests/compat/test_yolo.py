"""keras-yolo3's class: its keywords, attributes and images; the network is that of test_detector."""

import os

import cv2
import h5py
import keras
import numpy as np
import pytest
from PIL import Image

from tests.inference.test_detector import METADATA, cell_network, sample_image
from tests.inference.test_window import Screen
from yolo3.compat import yolo as yolo_module
from yolo3.compat.yolo import YOLO, detect_video
from yolo3.inference.videos import VideoFile, read_frames
from yolo3.models.saving import save_model
from yolo3.models.yolov3.defaults import OFFICIAL_TINY_MASK
from yolo3.models.yolov3.networks import tiny_yolo_body


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "m.h5"
    save_model(cell_network(), path, METADATA)
    return str(path)


@pytest.fixture(scope="module")
def yolo(weights):
    return YOLO(model_path=weights)


@pytest.fixture
def settings(monkeypatch):
    """What ``YOLO`` asks of ``load_detector``, in place of a network; ``metadata`` is what the file says."""
    asked = {}

    class Stub:
        model, class_names, anchors, input_shape = None, ["a"], None, (416, 416)

    def load_detector(weights, classes_path, anchors_path, **options):
        asked.update(options, weights=weights, classes_path=classes_path, anchors_path=anchors_path)
        return Stub()

    monkeypatch.setattr(yolo_module, "load_detector", load_detector)
    monkeypatch.setattr(yolo_module, "read_metadata", lambda path: asked.get("metadata"))
    return asked


def test_detect_image_returns_the_drawn_image_and_keeps_the_detections(yolo):
    image = Image.fromarray(sample_image())
    before = np.array(image)
    drawn = yolo.detect_image(image)
    assert isinstance(drawn, Image.Image) and drawn is not image and drawn.size == (128, 64)
    np.testing.assert_array_equal(image, before)
    # test_detector: the two right cells are red, 64 wide and 32 high in the image; here y comes first
    assert sorted(yolo.boxes.tolist()) == [[0, 64, 32, 128], [32, 64, 64, 128]]
    assert yolo.classes.tolist() == [0, 0] and yolo.scores.min() > 0.999
    assert tuple(np.array(drawn)[63, 100]) == yolo.colors[0] != (255, 0, 0)  # the lower edge of a box


def test_the_attributes_used_in_tutorials_exist(yolo, weights):
    assert yolo.class_names == ["red", "green", "any"] and len(yolo.colors) == 3
    assert np.asarray(yolo.anchors).tolist() == [[32, 32]]
    assert isinstance(yolo.yolo_model, keras.Model)
    assert (yolo.model_path, yolo.score, yolo.iou, yolo.gpu_num) == (weights, 0.3, 0.45, 1)
    assert yolo.model_image_size == (64, 64)  # the file's
    assert yolo.close_session() is None


def test_grey_and_rotated_images_are_detected_upright_and_in_colour(yolo, tmp_path):
    assert yolo.detect_image(Image.fromarray(sample_image()).convert("L")).mode == "RGB"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(np.rot90(sample_image()).copy()).save(tmp_path / "turned.png", exif=exif)
    drawn = yolo.detect_image(Image.open(tmp_path / "turned.png"))
    assert drawn.size == (128, 64) and len(yolo.boxes) == 2 and yolo.boxes[:, 1].tolist() == [64, 64]
    with pytest.raises(TypeError, match="expected a PIL image, got ndarray"):
        yolo.detect_image(sample_image())


@pytest.mark.parametrize("white", [65535, 4095])
def test_images_of_sixteen_bits_are_detected_as_they_look(yolo, tmp_path, white):
    grey = sample_image().max(-1)  # the red cells white on black
    cv2.imwrite(str(tmp_path / "8.png"), grey)
    cv2.imwrite(str(tmp_path / "16.png"), (grey * (white / 255)).astype(np.uint16))
    drawn = [np.array(yolo.detect_image(Image.open(tmp_path / name))) for name in ("8.png", "16.png")]
    assert np.abs(drawn[0].astype(int) - drawn[1]).max() < 2 and drawn[1].min() == 0


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("white", [65535, 4095])
def test_colours_of_sixteen_bits_are_detected_as_they_look(yolo, tmp_path, white, name):
    bgr = sample_image()[..., ::-1] * (white / 255)
    cv2.imwrite(str(tmp_path / name), bgr.astype(np.uint16))
    yolo.detect_image(Image.fromarray(sample_image()))
    expected = yolo.boxes, yolo.scores
    with Image.open(tmp_path / name) as image:
        drawn = yolo.detect_image(image)
    assert len(yolo.boxes) == len(expected[0]) > 0 and np.asarray(drawn).max() == 255
    np.testing.assert_allclose(yolo.boxes, expected[0], atol=0.1)
    np.testing.assert_allclose(yolo.scores, expected[1], atol=0.01)


def test_an_image_without_detections_is_returned_unchanged(yolo):
    image = Image.fromarray(sample_image(colour=(0, 0, 0)))
    np.testing.assert_array_equal(yolo.detect_image(image), image)
    assert yolo.boxes.shape == (0, 4) and len(yolo.scores) == len(yolo.classes) == 0


def test_an_image_can_be_detected_at_its_own_size_rounded_down(weights):
    own = YOLO(model_path=weights, model_image_size=(None, None), score=0.4, iou=0.6)
    assert own.model_image_size == (None, None)
    # 70 x 100 becomes 64 x 96; the columns of cells are 100 / 3 wide: only the last is all red
    own.detect_image(Image.fromarray(sample_image(70, 100)))
    assert [[round(side) for side in box] for box in sorted(own.boxes.tolist())][-1] == [35, 67, 70, 100]
    assert own._detector_for((64, 96)) is own._detector_for((95, 127, 3))
    wide = own._detector_for((20, 200))
    assert (wide.input_shape, wide.score_threshold, wide.iou_threshold) == ((32, 192), 0.4, 0.6)
    for number in range(1, 12):
        own._detector_for((32 * number, 32))
    assert len(own._detectors) == 8  # not one for each size that ever came
    for size in ((None, 416), 416, (416,), "416"):
        with pytest.raises(ValueError, match="^model_image_size: expected .height, width. or .None, None., got "):
            YOLO(model_path=weights, model_image_size=size)


def test_defaults_are_keras_yolo3s_and_may_be_changed(settings, monkeypatch):
    assert YOLO.get_defaults("model_path") == "model_data/yolo.h5"
    assert YOLO.get_defaults("model_image_size") == (416, 416)
    with pytest.raises(ValueError, match="expected one of model_path"):
        YOLO.get_defaults("modelpath")
    YOLO()
    assert settings["weights"] == "model_data/yolo.h5" and settings["score_threshold"] == 0.3
    assert settings["classes_path"] == "model_data/coco_classes.txt" and settings["iou_threshold"] == 0.45

    class Mine(YOLO):
        _defaults = {"model_path": "mine.h5", "classes_path": "mine.txt"}

    settings["metadata"] = {}
    Mine(score=0.5)
    assert (settings["weights"], settings["score_threshold"]) == ("mine.h5", 0.5)
    assert settings["classes_path"] == "mine.txt" and settings["anchors_path"] is None


def test_self_describing_weights_are_trusted_unless_an_argument_is_given(settings):
    settings["metadata"] = {"class_names": ["a"]}
    YOLO(model_path="m.h5")
    assert [settings[name] for name in ("classes_path", "anchors_path", "input_shape")] == [None] * 3
    YOLO(model_path="m.h5", anchors_path="~/a.txt", model_image_size=[320, 608])
    assert settings["anchors_path"] == os.path.expanduser("~/a.txt") and settings["input_shape"] == (320, 608)


def test_weights_that_name_no_classes_get_those_of_the_default_file(settings):
    settings["metadata"] = {"model": "yolov3-tiny", "anchors": [[10, 14]]}
    YOLO(model_path="m.h5")
    assert settings["classes_path"] == "model_data/coco_classes.txt" and settings["anchors_path"] is None


def test_the_options_of_yolo_video_have_their_effect(settings):
    # keras-yolo3 set attributes that nothing read
    YOLO(model="m.h5", anchors="a.txt", classes="c.txt", gpu_num=2, image=True, input="in.mp4", output="")
    assert [settings[name] for name in ("weights", "anchors_path", "classes_path")] == ["m.h5", "a.txt", "c.txt"]
    with pytest.raises(TypeError, match="got scor$"):
        YOLO(scor=0.5)


@pytest.mark.parametrize("content", [b"", b"no network", b"<html>not found</html>"])
def test_a_file_that_cannot_be_loaded_is_named_and_not_tried_as_something_else(tmp_path, content):
    path = tmp_path / "yolo.h5"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path}: expected a Keras file"):
        YOLO(model_path=str(path))


@pytest.mark.slow
def test_old_tiny_weights_work_whole(tmp_path, slim_tiny):
    network = tiny_yolo_body(keras.Input((None, None, 3)), 3, 2)
    network.save(tmp_path / "old.h5")
    with h5py.File(tmp_path / "old.h5", "a") as file:
        file.attrs["keras_version"] = np.bytes_("2.1.5")
    (tmp_path / "anchors.txt").write_text("10,14, 23,27, 37,58, 81,82, 135,169, 344,319")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    yolo = YOLO(
        model_path=tmp_path / "old.h5", anchors_path=tmp_path / "anchors.txt", classes_path=tmp_path / "classes.txt"
    )
    assert yolo.class_names == ["cat", "dog"] and yolo.model_image_size == (416, 416)
    assert [scale.anchor_mask for scale in yolo._detector.architecture.scales] == [*OFFICIAL_TINY_MASK]


# Videos


class Inverter:
    """Stands for a YOLO of the user's own: its image is the negative."""

    def __init__(self):
        self.seen, self.closed = [], False

    def detect_image(self, image):
        self.seen.append(image.getpixel((0, 0)))
        return Image.fromarray(255 - np.asarray(image))

    def close_session(self):
        self.closed = True


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Five frames at 5 a second, 64 x 96, red at first and blue at last."""
    path = tmp_path_factory.mktemp("video") / "in.mp4"
    file = VideoFile(path, 5)
    for number in range(5):
        file.add(np.full((64, 96, 3), (200, 0, 0) if number < 3 else (0, 0, 200), np.uint8), number / 5)
    file.close()
    return path


def test_every_frame_of_a_video_is_drawn_in_its_colours_until_the_end(video, tmp_path):
    inverter = Inverter()
    detect_video(inverter, str(video), str(tmp_path / "out.mp4"))
    assert inverter.closed and len(inverter.seen) == 5
    assert inverter.seen[0][0] > 150 > inverter.seen[0][2] and inverter.seen[4][2] > 150 > inverter.seen[4][0]
    frames = list(read_frames(str(tmp_path / "out.mp4")))
    assert len(frames) == 5 and frames[0].rate == 5 and frames[0].image.shape == (64, 96, 3)
    np.testing.assert_allclose(frames[0].image.mean((0, 1)), [55, 255, 255], atol=12)
    np.testing.assert_allclose(frames[4].image.mean((0, 1)), [255, 255, 55], atol=12)


def test_a_video_cannot_replace_its_source_or_use_another_container(video, tmp_path):
    before = video.read_bytes()
    with pytest.raises(ValueError, match="expected another file"):
        detect_video(Inverter(), video, video)
    with pytest.raises(ValueError, match="ends in .mp4"):
        detect_video(Inverter(), video, tmp_path / "out.avi")
    with pytest.raises(ValueError, match="expected a camera"):
        detect_video(Inverter(), "87", tmp_path / "out.mp4")
    assert video.read_bytes() == before


@pytest.mark.parametrize(("error", "kept"), [(KeyboardInterrupt, True), (RuntimeError, False)])
def test_an_interrupted_video_is_kept_and_a_failed_one_is_not(error, kept, video, tmp_path):
    class Interrupted(Inverter):
        def detect_image(self, image):
            if len(self.seen) == 2:
                raise error
            return super().detect_image(image)

    with pytest.raises(error):
        detect_video(Interrupted(), video, tmp_path / "out.mp4")
    assert os.listdir(tmp_path) == (["out.mp4"] if kept else [])
    if kept:
        assert len(list(read_frames(str(tmp_path / "out.mp4")))) == 2


def test_a_window_that_cannot_be_opened_is_reported_in_one_line(video, monkeypatch):
    def no_window(*_):
        raise cv2.error("The function is not implemented. Rebuild the library")

    Screen(monkeypatch)
    monkeypatch.setattr(cv2, "namedWindow", no_window)
    inverter = Inverter()
    with pytest.raises(OSError, match="^detect_video: OpenCV cannot open a window: .*; or give output_path alone$"):
        detect_video(inverter, video)
    assert inverter.seen == []


@pytest.mark.parametrize("key", [ord("q"), 27])
def test_a_window_shows_the_drawn_frames_until_q_is_pressed(video, monkeypatch, tmp_path, key):
    screen = Screen(monkeypatch, [-1, key])
    detect_video(Inverter(), video, tmp_path / "out.mp4", show=True)
    assert len(screen.shown) == 2 and screen.closed == ["result"]
    np.testing.assert_allclose(screen.shown[0].mean((0, 1)), [55, 255, 255], atol=12)
    assert len(list(read_frames(str(tmp_path / "out.mp4")))) == 2
