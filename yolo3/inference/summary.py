"""The summary that ``yolo3 detect`` prints: what each source shows, and advice if nothing was found."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from yolo3.detections import Detections
from yolo3.inference.sources import Shot

_WEAK_SHOWN = 10
_MEANINGFUL_SCORE = 0.02  # scores on images unlike anything the network has learned stay below this


@dataclass
class Tally:
    """Number of objects in one source, by class.

    Args:
        frames: Number of frames; 0 for an image.
        objects: Number of detections of each class name.
        frames_with: Number of images or frames with each class name.
    """

    frames: int = 0
    objects: Counter = field(default_factory=Counter)
    frames_with: Counter = field(default_factory=Counter)

    def add(self, shot: Shot, names: Sequence[str]) -> None:
        """Count the class names of the detections in an image or frame."""
        self.frames += shot.frame is not None
        self.objects.update(names)
        self.frames_with.update(set(names))

    def in_words(self) -> str:
        """Return "2 dog, 1 car" for an image, "250 frames; dog in 120, car in 7" for a video."""
        if not self.frames:
            return ", ".join(f"{number} {name}" for name, number in self.objects.items())
        counted = ", ".join(f"{name} in {number}" for name, number in self.frames_with.most_common())
        return f"{self.frames} frames; {counted}" if counted else ""


@dataclass
class Summary:
    """Detections so far: a tally for each path, and the best scores that do not exceed the threshold.

    Args:
        class_names: Name of each class id.
        score_threshold: Detections that score above it count as found.
        max_boxes: Maximum number of detections in an image.
        network_input: Size and resizing of the network input, in words.
        tallies: Tally of each path.
        num_unreadable: Number of images that could not be read; the caller counts them.
        num_full: Number of images and frames with `max_boxes` detections.
    """

    class_names: Sequence[str]
    score_threshold: float
    max_boxes: int
    network_input: str
    tallies: dict[str, Tally] = field(default_factory=dict)
    num_unreadable: int = 0
    num_full: int = 0
    _weak: list[tuple[float, str, str]] = field(default_factory=list)  # (score, class name, place), best first

    def add(self, shot: Shot, found: Detections) -> Detections:
        """Count the detections of an image.

        Args:
            shot: Where the image comes from.
            found: Its detections, whatever their scores.

        Returns:
            The detections that score above the threshold.
        """
        above = found.scores > self.score_threshold
        strong = Detections(found.boxes[above], found.scores[above], found.class_ids[above])
        self.num_full += len(strong) == self.max_boxes
        self.tallies.setdefault(shot.source.path, Tally()).add(shot, [self.class_names[i] for i in strong.class_ids])

        place = shot.source.path if shot.frame is None else f"{shot.source.path} frame {shot.frame}"
        weak = zip(found.scores[~above].tolist(), found.class_ids[~above], strict=True)
        self._weak += [(score, self.class_names[class_id], place) for score, class_id in weak]
        self._weak = sorted(self._weak, reverse=True)[:_WEAK_SHOWN]
        return strong

    def print(self, results: str) -> None:
        """Print the lines of :meth:`lines`."""
        for line in self.lines(results):
            print(line)

    def lines(self, results: str) -> list[str]:
        """Return what each source shows, where the results are, and what to do if nothing was found.

        Args:
            results: Where the results are, in words; "" if there are none.

        Returns:
            Lines of text; none if no image was read.
        """
        if not self.tallies:
            return []

        nothing = f"nothing above {self.score_threshold:g}"
        lines = [f"{path}: {tally.in_words() or nothing}" for path, tally in self.tallies.items()]
        lines += [results] if results else []
        if self.num_unreadable:
            lines.append(f"Images that could not be read (see above): {self.num_unreadable}")
        if self.num_full:
            lines.append(f"Images with the maximum of {self.max_boxes} objects (--max-boxes): {self.num_full}")
        return lines if any(tally.objects for tally in self.tallies.values()) else lines + self._advice()

    def _advice(self) -> list[str]:
        """Return the best scores below the threshold, and what they suggest."""
        if not self._weak:
            return ["Nothing was found at any score. Are these the right weights?"]

        best = self._weak[0][0]
        first = "With scores this low, the network recognizes nothing in these images."
        if best > _MEANINGFUL_SCORE:
            lower = float(f"{best / 2:.0e}")  # a round number well below: .0731 gives .04
            first = f"To see them, lower the threshold: --score-threshold {lower:g}."
        return [
            f"Nothing was found above {self.score_threshold:g}. The best scores below it:",
            *(f"  {score:.4f}  {name}  {path}" for score, name, path in self._weak),
            f"{first} If they are wrong: the network input was {self.network_input}; do --input-size and --resize "
            "match its training, and do the images resemble the training images?",
        ]
