"""Non-maximum suppression, class by class, for a batch; static shapes, bounded memory, any backend.

In each class the box of the highest score is kept, boxes that overlap it are suppressed, and so on with the rest. A box
may keep several classes. Methods:

``greedy``  boxes whose overlap with a kept one exceeds ``iou_threshold`` are dropped (Darknet's src/box.c,
            ``do_nms_sort``)
``diou``    the same where the overlap less d^2 / c^2 exceeds it: d from centre to centre, c the diagonal of the
            smallest box around both, so that boxes with another centre stay (Zheng et al. 2020, "Distance-IoU Loss")
``soft``    nothing is dropped: scores are multiplied by exp(-overlap^2 / sigma), and boxes whose score falls to the
            threshold are gone (Bodla et al. 2017, "Soft-NMS", Gaussian; without sigma the linear form, by 1 - overlap
            above ``iou_threshold``)

Overlaps: ``iou``, and ``ios``, the intersection over the area of the box that would give way: 1 for a box within the
kept one, however small it is. The parts of an object that the edge of a tile cuts in two need that.

:mod:`yolo3.ops.nms_numpy` does the same for NumPy arrays, without Keras.
"""

from keras import ops

from yolo3.ops import boxes as geometry
from yolo3.ops.nms_methods import CANDIDATES, MAX_BOXES, SIGMA, check_method

_BLOCK = 128  # candidates decided at a time: their IoUs with all others stay within a processor's cache
_GONE = -1.0  # in place of the score of a candidate that is not kept


def non_max_suppression(
    boxes_xyxy,
    scores,
    score_threshold: float,
    iou_threshold: float,
    max_boxes: int = MAX_BOXES,
    candidates: int = CANDIDATES,
    method: str = "greedy",
    overlap: str = "iou",
    sigma: float | None = SIGMA,
):
    """Return the boxes of each image that non-maximum suppression keeps.

    Of two boxes with scores .9 and .6 that share 20,000 pixels, the first of 120,000 and the second of 25,000, the IoU
    is 20 / (120 + 25 - 20) = .16 and "ios" 20 / 25 = .8: the area is that of the weaker one, which would give way.

    Args:
        boxes_xyxy: float [B, N, 4], any unit.
        scores: float [B, N, C], 0..1.
        score_threshold: Scores have to be above it; 0 or more.
        iou_threshold: Overlap above which a box gives way. The method "soft" uses it only where ``sigma`` is ``None``.
        max_boxes: M, detections per image at most, over all classes.
        candidates: How many of the best (box, class) pairs of an image enter, at least ``max_boxes``.
        method: One of :data:`yolo3.ops.nms_methods.METHODS`. "soft" returns decayed scores and picks one box at a time,
            so that its time grows with the number of detections.
        overlap: One of :data:`yolo3.ops.nms_methods.OVERLAPS`.
        sigma: Of the method "soft", above 0; ``None`` for linear decay.

    Returns:
        (boxes float32 [B, M, 4], scores float32 [B, M], class_ids int32 [B, M], num int32 [B]). The first ``num`` rows
        of an image are its detections by falling score; the others are 0, with class -1.

    Raises:
        ValueError: For other names, and for a ``sigma`` of 0 or below.
    """
    boxes, scores, class_ids = top_candidates(boxes_xyxy, scores, score_threshold, max(candidates, max_boxes))
    kept_scores = rescore(
        boxes,
        class_ids,
        scores,
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        max_boxes=max_boxes,
        method=method,
        overlap=overlap,
        sigma=sigma,
    )  # [B, K]
    kept_scores, order = ops.top_k(kept_scores, max_boxes)  # [B, M]
    kept = kept_scores > _GONE
    boxes, class_ids = take_rows(boxes, order), take_rows(class_ids, order)
    return (
        ops.where(ops.expand_dims(kept, -1), boxes, 0.0),
        ops.where(kept, kept_scores, 0.0),
        ops.where(kept, class_ids, -1),
        ops.sum(ops.cast(kept, "int32"), -1),
    )


def top_candidates(boxes_xyxy, scores, score_threshold: float, candidates: int):
    """Return the best (box, class) pairs of each image by falling score.

    The best pairs lie within the K boxes of the best single scores, so that only these are sorted by class.

    Args:
        boxes_xyxy: float [B, N, 4].
        scores: float [B, N, C], 0..1; those that are not above the threshold become 0 and come last.
        score_threshold: 0 or more.
        candidates: K is this number, rounded up to whole blocks of 128.

    Returns:
        (boxes float32 [B, K, 4], scores float32 [B, K], class_ids int32 [B, K]).
    """
    size = -(-candidates // _BLOCK) * _BLOCK
    num_classes = scores.shape[-1]
    boxes = _pad_rows(ops.cast(boxes_xyxy, "float32"), size)
    scores = ops.cast(scores, "float32")
    scores = _pad_rows(ops.where(scores > score_threshold, scores, 0.0), size)

    _, best = ops.top_k(ops.max(scores, -1), size)  # [B, K]
    boxes, scores = take_rows(boxes, best), take_rows(scores, best)  # [B, K, 4], [B, K, C]
    scores, pair = ops.top_k(ops.reshape(scores, (-1, size * num_classes)), size)  # [B, K]
    return take_rows(boxes, pair // num_classes), scores, ops.cast(pair % num_classes, "int32")


def take_rows(array, index):
    """Return rows ``index`` int [B, K] of each image's array [B, N, ...] as [B, K, ...].

    ``ops.take_along_axis`` would write the index out for every number of a row.
    """
    index = ops.cast(index, "int32")
    rows = ops.shape(array)[1]
    first = ops.expand_dims(ops.arange(ops.shape(array)[0], dtype="int32") * rows, 1)
    return ops.take(ops.reshape(array, (-1, *array.shape[2:])), index + first, 0)


def _pad_rows(array, size: int):
    """Return [B, N, D] with rows of zeros added, so that N is at least ``size`` even if it is not known yet."""
    rows = ops.shape(array)[1]
    missing = max(size - rows, 0) if isinstance(rows, int) else size
    return ops.pad(array, ((0, 0), (0, missing), (0, 0))) if missing else array


def rescore(
    boxes_xyxy,
    class_ids,
    scores,
    *,
    score_threshold: float,
    iou_threshold: float,
    max_boxes: int,
    method: str,
    overlap: str,
    sigma: float | None,
):
    """Return the score of each candidate that is kept, -1 for the others, float32 [B, K].

    ``boxes_xyxy`` [B, K, 4], ``class_ids`` [B, K] and ``scores`` [B, K] are those of :func:`top_candidates`, the other
    arguments and the errors those of :func:`non_max_suppression`. Greedy suppression ends with the block of
    candidates in which each image has ``max_boxes``; it keeps more where that block has more.
    """
    check_method(method, overlap, sigma)
    measure = {"iou": geometry.iou, "ios": geometry.coverage}[overlap]

    if method == "soft":

        def decay(overlaps):
            if sigma is None:
                return ops.where(overlaps > iou_threshold, 1.0 - overlaps, 1.0)
            # A box that is not finite overlaps nothing.
            return ops.where(overlaps > 0.0, ops.exp(overlaps * overlaps / -sigma), 1.0)

        return _rescore_softly(
            boxes_xyxy,
            class_ids,
            scores,
            score_threshold=score_threshold,
            max_boxes=max_boxes,
            decay_of=lambda weaker, stronger: decay(measure(weaker, stronger)),
        )

    def less_distance(weaker, stronger):
        return measure(weaker, stronger) - geometry.centre_distance(weaker, stronger)

    keep = suppress(
        boxes_xyxy,
        class_ids,
        valid=scores > score_threshold,
        iou_threshold=iou_threshold,
        measure=less_distance if method == "diou" else measure,
        enough=max_boxes,
    )
    return ops.where(keep, scores, _GONE)


def suppress(boxes_xyxy, class_ids, valid, iou_threshold: float, measure=geometry.iou, enough: int | None = None):
    """Return which candidates greedy suppression keeps, bool [B, K].

    Blocks of 128 candidates are decided one after the other, until no image has a valid one left, or
    every image has enough; the candidates after that are not kept.

    Args:
        boxes_xyxy: float [B, K, 4] by falling score; K is a multiple of 128.
        class_ids: int [B, K].
        valid: bool [B, K], the candidates that count.
        iou_threshold: Overlap with a kept candidate of the same class above which a weaker one is dropped.
        measure: Function of (weaker boxes, stronger boxes) [..., 4] that broadcast; returns overlaps [...].
        enough: Number of kept candidates of an image after which its others do not matter; by default all matter.
    """
    num_blocks = boxes_xyxy.shape[1] // _BLOCK
    blocks = ops.reshape(boxes_xyxy, (-1, num_blocks, _BLOCK, 4))
    block_ids = ops.reshape(class_ids, (-1, num_blocks, _BLOCK))
    valid = ops.reshape(valid, (-1, num_blocks, _BLOCK))
    numbers = ops.arange(num_blocks, dtype="int32")
    last = ops.max(ops.where(ops.any(valid, (0, 2)), numbers, -1))
    earlier = ops.reshape(ops.arange(_BLOCK), (1, _BLOCK)) < ops.reshape(ops.arange(_BLOCK), (_BLOCK, 1))

    def decide(number, keep):
        boxes, ids = ops.take(blocks, number, 1), ops.take(block_ids, number, 1)
        overlaps = measure(boxes[:, :, None], boxes_xyxy[:, None]) > iou_threshold  # [B, block, K]
        overlaps = overlaps & ops.equal(ops.expand_dims(ids, 2), ops.expand_dims(class_ids, 1))

        # Dropped by a kept candidate of an earlier block, then by one of the same block.
        dropped = ops.any(overlaps & ops.reshape(keep, (-1, 1, num_blocks * _BLOCK)), -1)  # [B, block]
        within = ops.take(ops.reshape(overlaps, (-1, _BLOCK, num_blocks, _BLOCK)), number, 2) & earlier
        kept = _keep_within(ops.take(valid, number, 1) & ops.logical_not(dropped), within)
        here = ops.reshape(ops.equal(numbers, number), (1, num_blocks, 1))
        return number + 1, ops.where(here, ops.expand_dims(kept, 1), keep)

    def goes_on(number, keep):
        if enough is None:
            return number <= last
        return (number <= last) & (ops.min(ops.sum(ops.cast(keep, "int32"), (1, 2))) < enough)

    start = (ops.zeros((), "int32"), ops.zeros_like(valid))
    _, keep = ops.while_loop(goes_on, decide, start, maximum_iterations=num_blocks)
    return ops.reshape(keep, (-1, num_blocks * _BLOCK))


def _keep_within(alive, overlaps):
    """Return bool [B, N]: which of N candidates are kept; ``overlaps`` [B, N, N] is true for earlier rivals.

    A candidate without a kept earlier rival is kept. Repeating that rule settles at least one more candidate each
    time, in order, so it ends at the greedy answer after as many steps as the longest chain of rivals.
    """

    def step(_, keep):
        return keep, alive & ops.logical_not(ops.any(overlaps & ops.expand_dims(keep, 1), -1))

    _, keep = ops.while_loop(
        lambda before, keep: ops.any(ops.not_equal(before, keep)),
        step,
        step(None, alive),
        maximum_iterations=alive.shape[1],
    )
    return keep


def _rescore_softly(boxes_xyxy, class_ids, scores, *, score_threshold: float, max_boxes: int, decay_of):
    """Return :func:`rescore` of Soft-NMS: the ``max_boxes`` of an image that are best after their decay.

    Each step picks the best candidate of each image and multiplies the scores of the others of its class by
    ``decay_of`` (others, it) [B, K], in [0, 1]: what is picked later has no higher score. The steps end when no image
    has a score above the threshold, and a step looks at K overlaps per image.
    """
    places = ops.expand_dims(ops.arange(class_ids.shape[1], dtype="int32"), 0)

    def pick(left, kept):
        best = ops.expand_dims(ops.cast(ops.argmax(left, -1), "int32"), 1)  # [B, 1]
        here = ops.equal(places, best)
        factors = decay_of(boxes_xyxy, take_rows(boxes_xyxy, best))  # [B, K]
        factors = ops.where(ops.equal(class_ids, take_rows(class_ids, best)), factors, 1.0)
        return ops.where(here, _GONE, left * factors), ops.where(here & (left > score_threshold), left, kept)

    _, kept = ops.while_loop(
        lambda left, kept: ops.any(left > score_threshold),
        pick,
        (scores, ops.full_like(scores, _GONE)),
        maximum_iterations=max_boxes,
    )
    return kept
