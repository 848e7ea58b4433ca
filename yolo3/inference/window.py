"""A window on the screen that shows one image after another."""

import contextlib
import os
import re
import sys

import cv2
import numpy as np

_ESCAPE = 27


def check_window() -> None:
    """Check that OpenCV can open a window here, where trying would fail or end the process.

    Raises:
        OSError: If OpenCV was built without windows, or there is no display.
    """
    if re.search(r"GUI:\s+NONE", cv2.getBuildInformation()):
        raise OSError(
            "this OpenCV opens no windows; 'pip uninstall opencv-python-headless', then 'pip install opencv-python'"
        )
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise OSError("expected a display, got none (DISPLAY is not set)")


class Window:
    """A window that shows one image after another.

    Args:
        title: Title of the window.

    Raises:
        OSError: If no window can be opened.
    """

    def __init__(self, title: str):
        check_window()
        self.title = title
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error as error:
            raise OSError(f"OpenCV cannot open a window: {' '.join(str(error).split())}") from error

    def show(self, image: np.ndarray, wait: bool = False) -> bool:
        """Show an image.

        Args:
            image: uint8 [H, W, 3], RGB.
            wait: Whether to wait for a key.

        Returns:
            False once the user presses Esc or q, or closes the window.
        """
        cv2.imshow(self.title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1)
        while key < 0 and wait and self._is_open():
            key = cv2.waitKey(50)
        return key not in (_ESCAPE, ord("q")) and self._is_open()

    def close(self) -> None:
        """Close the window."""
        with contextlib.suppress(cv2.error):  # the user has closed it
            cv2.destroyWindow(self.title)

    def _is_open(self) -> bool:
        return cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) >= 1
