"""Images and videos with the boxes drawn on them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from yolo3.datasets.images import write_image
from yolo3.detections import Detections
from yolo3.inference.sources import Shot, Source, result_paths
from yolo3.inference.videos import VideoFile

_WRITTEN_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")  # other images are written as .png


def drawn_paths(sources: Sequence[Source], output: str) -> dict[Source, Path]:
    """Return the path of each source's image or video with boxes.

    Args:
        sources: Images, videos and cameras.
        output: Folder of the results.

    Returns:
        Paths below `output`, all different, none of them an input.
    """
    suffixes = []
    for source in sources:
        suffix = Path(source.path).suffix
        if source.kind != "image":
            suffix = ".mp4"
        elif suffix.lower() not in _WRITTEN_SUFFIXES:
            suffix = ".png"
        suffixes.append(suffix)

    return dict(zip(sources, result_paths(sources, output, suffixes), strict=True))


class DrawnFiles:
    """Writer of each image with its boxes, and of one video for each video or camera.

    Args:
        paths: Where the result of each source goes, as from :func:`drawn_paths`.
        class_names: Name of each class id.
    """

    def __init__(self, paths: Mapping[Source, Path], class_names: Sequence[str]):
        self.paths, self.class_names = paths, class_names
        self._source: Source | None = None
        self._video: VideoFile | None = None

    def add(self, shot: Shot, image: np.ndarray, found: Detections) -> None:
        """Write an image, or append a frame; see :meth:`Writer.add`."""
        if shot.source != self._source:
            self.close()
            self._source = shot.source

        from yolo3.visualize.boxes import draw_boxes  # needs Pillow

        drawn = draw_boxes(image, found.boxes, found.class_ids, class_names=self.class_names, scores=found.scores)
        path = self.paths[shot.source]
        if shot.seconds is None or shot.rate is None:
            write_image(path, drawn)
            return
        self._video = self._video or VideoFile(path, shot.rate)
        try:
            self._video.add(drawn, shot.seconds)
        except ValueError as error:
            raise ValueError(f"{error}; --no-images does without") from error

    def close(self) -> None:
        """Finish the video that is being written, if there is one."""
        if self._video is not None:
            self._video.close()
        self._video = None

    def discard(self) -> None:
        """Delete the video that is being written, if there is one."""
        if self._video is not None:
            self._video.discard()
        self._video = None
