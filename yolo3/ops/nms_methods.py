"""Methods, overlaps, thresholds and limits of non-maximum suppression, for options and both versions; no Keras."""

METHODS = ("greedy", "soft", "diou")
OVERLAPS = ("iou", "ios")
MAX_BOXES = 300  # default limit of the detections in an image, over all classes
CANDIDATES = 1024  # (box, class) pairs of an image that enter: the best by score
SHOWN_SCORE = 0.3  # default threshold of the detections that people are shown
# Average precision needs the weak detections too; AlexeyAB/darknet's src/detector.c has a threshold of .005.
AP_SCORE_THRESHOLD = 0.001
SIGMA = 0.5  # of Bodla et al. 2017


def check_method(method: str, overlap: str, sigma: float | None) -> None:
    """Check the names of a method and an overlap, and the sigma of the method "soft".

    Raises:
        ValueError: For other names, and for a ``sigma`` of 0 or below.
    """
    for name, value, choices in (("method", method, METHODS), ("overlap", overlap, OVERLAPS)):
        if value not in choices:
            raise ValueError(f"suppression {name}: expected one of {', '.join(choices)}, got {value!r}")
    if method == "soft" and sigma is not None and sigma <= 0:
        raise ValueError(f"suppression sigma: expected a number above 0, or None for linear decay, got {sigma}")
