"""yolo3.inference.window: images until the user closes it, and why no window can open."""

import cv2
import numpy as np
import pytest

from yolo3.inference import window
from yolo3.inference.window import Window, check_window


class Screen:
    """Stands in for OpenCV's windows: gives ``keys`` one after the other, then none; a window closes at the key 0."""

    def __init__(self, monkeypatch, keys=()):
        self.keys, self.shown, self.open, self.closed = list(keys), [], True, []
        monkeypatch.setattr(window.cv2, "getBuildInformation", lambda: "  GUI:                           QT5\n")
        monkeypatch.setenv("DISPLAY", ":0")
        for name in ("namedWindow", "imshow", "waitKey", "getWindowProperty", "destroyWindow"):
            monkeypatch.setattr(window.cv2, name, getattr(self, name))

    def namedWindow(self, *_):
        pass

    def imshow(self, _, image):
        self.shown.append(image[..., ::-1])

    def waitKey(self, _):
        key = self.keys.pop(0) if self.keys else -1
        self.open = self.open and key != 0
        return -1 if key == 0 else key

    def getWindowProperty(self, *_):
        return 1.0 if self.open else 0.0

    def destroyWindow(self, title):
        self.closed.append(title)


def grey(level, height=48, width=64):
    return np.full((height, width, 3), level, np.uint8)


def test_a_window_shows_images_until_escape_q_or_closing(monkeypatch):
    red = np.full((4, 6, 3), (200, 0, 0), np.uint8)
    for key in (27, ord("q"), 0):
        screen = Screen(monkeypatch, [-1, ord("x"), key])
        window = Window("result")
        assert [window.show(red) for _ in range(3)] == [True, True, False]
        np.testing.assert_array_equal(screen.shown[0], red)
        window.close()
        assert screen.closed == ["result"]


def test_a_window_waits_for_a_key_if_it_is_told_to(monkeypatch):
    screen = Screen(monkeypatch, [-1, -1, -1, ord(" "), 0])
    assert Window("result").show(grey(0), wait=True) and screen.keys == [0]
    assert not Window("result").show(grey(0), wait=True)  # closed while it waited


def test_the_reason_why_no_window_can_open_is_reported(monkeypatch):
    def fail(*_):
        raise cv2.error("a long\nstory")

    Screen(monkeypatch)
    monkeypatch.setattr(window.cv2, "namedWindow", fail)
    with pytest.raises(OSError, match="^OpenCV cannot open a window: a long story$"):
        Window("result")
    monkeypatch.setattr(window.sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", "")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(OSError, match="expected a display, got none"):
        check_window()
    monkeypatch.setattr(window.cv2, "getBuildInformation", lambda: "  GUI:                           NONE\n")
    with pytest.raises(OSError, match="opens no windows; 'pip uninstall opencv-python-headless'"):
        Window("result")
