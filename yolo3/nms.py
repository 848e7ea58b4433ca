"""Greedy non-maximum suppression, class by class, for a batch; static shapes, bounded memory, any backend.

Of each class the box of the highest score is kept, the boxes that overlap it by more than ``iou_threshold``
are dropped, and so on with what is left (Darknet's src/box.c, ``do_nms_sort``). A box may keep several
classes.
"""

from keras import ops

from yolo3 import boxes as geometry

CANDIDATES = 1024  # (box, class) pairs of an image that enter: the best by score
_BLOCK = 128  # candidates decided at a time: their IoUs with all others stay within a processor's cache


def non_max_suppression(
    boxes_xyxy,
    scores,
    score_threshold: float,
    iou_threshold: float,
    max_boxes: int = 300,
    candidates: int = CANDIDATES,
):
    """Return what is left of each image's boxes: (boxes [B, M, 4], scores [B, M], class_ids [B, M], num [B]).

    ``boxes_xyxy``: float [B, N, 4], any unit. ``scores``: float [B, N, C]; only those above
    ``score_threshold`` (0 or more) count. ``candidates``: how many of the best (box, class) pairs of an image
    are looked at, at least ``max_boxes``. M is ``max_boxes``, over all classes; the first ``num`` rows of an
    image, by falling score, are its detections, the rest is 0 with class -1. ``class_ids`` and ``num`` are
    int32.
    """
    boxes, scores, class_ids = top_candidates(boxes_xyxy, scores, score_threshold, max(candidates, max_boxes))
    keep = suppress(boxes, class_ids, scores > score_threshold, iou_threshold)
    kept_scores, order = ops.top_k(ops.where(keep, scores, -1.0), max_boxes)
    found = kept_scores > -1.0
    boxes, class_ids = take_rows(boxes, order), take_rows(class_ids, order)
    return (
        ops.where(ops.expand_dims(found, -1), boxes, 0.0),
        ops.where(found, kept_scores, 0.0),
        ops.where(found, class_ids, -1),
        ops.sum(ops.cast(found, "int32"), -1),
    )


def top_candidates(boxes_xyxy, scores, score_threshold: float, candidates: int):
    """Return the best (box, class) pairs of each image: boxes [B, K, 4], scores [B, K], class_ids [B, K].

    They come by falling score. K is ``candidates`` rounded up to whole blocks. Scores that are not above the
    threshold become 0 and come last. The best pairs lie within the K boxes of the best single scores, so that
    only these are sorted by class.
    """
    size = -(-candidates // _BLOCK) * _BLOCK
    num_classes = scores.shape[-1]
    boxes = _pad_rows(ops.cast(boxes_xyxy, "float32"), size)
    scores = ops.cast(scores, "float32")
    scores = _pad_rows(ops.where(scores > score_threshold, scores, 0.0), size)
    _, best = ops.top_k(ops.max(scores, -1), size)
    boxes, scores = take_rows(boxes, best), take_rows(scores, best)
    scores, pair = ops.top_k(ops.reshape(scores, (-1, size * num_classes)), size)
    return take_rows(boxes, pair // num_classes), scores, ops.cast(pair % num_classes, "int32")


def take_rows(array, index):
    """Return rows ``index`` int [B, K] of each image's [B, N, ...]: [B, K, ...].

    ``ops.take_along_axis`` would write the index out for each number of a row.
    """
    index = ops.cast(index, "int32")
    rows = ops.shape(array)[1]
    first = ops.expand_dims(ops.arange(ops.shape(array)[0], dtype="int32") * rows, 1)
    return ops.take(ops.reshape(array, (-1, *array.shape[2:])), index + first, 0)


def _pad_rows(array, size: int):
    """Return [B, N, D] with rows of zeros added: N is at least ``size`` even if it is not known yet."""
    rows = ops.shape(array)[1]
    missing = max(size - rows, 0) if isinstance(rows, int) else size
    return ops.pad(array, ((0, 0), (0, missing), (0, 0))) if missing else array


def suppress(boxes_xyxy, class_ids, valid, iou_threshold: float):
    """Return bool [B, K]: the candidates that greedy suppression keeps.

    ``boxes_xyxy`` [B, K, 4] and ``class_ids`` [B, K] by falling score, ``valid`` bool [B, K], K a multiple of
    128. Blocks of candidates are decided one after the other, until no image has a valid one left.
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
        overlaps = geometry.pairwise_iou(boxes, boxes_xyxy) > iou_threshold  # [B, block, K]
        overlaps = overlaps & ops.equal(ops.expand_dims(ids, 2), ops.expand_dims(class_ids, 1))
        lost = _any_of(overlaps, ops.reshape(keep, (-1, 1, num_blocks * _BLOCK)))
        within = ops.take(ops.reshape(overlaps, (-1, _BLOCK, num_blocks, _BLOCK)), number, 2) & earlier
        kept = _keep_within(ops.take(valid, number, 1) & ops.logical_not(lost), within)
        here = ops.reshape(ops.equal(numbers, number), (1, num_blocks, 1))
        return number + 1, ops.where(here, ops.expand_dims(kept, 1), keep)

    start = (ops.zeros((), "int32"), ops.zeros_like(valid))
    _, keep = ops.while_loop(lambda number, _: number <= last, decide, start, maximum_iterations=num_blocks)
    return ops.reshape(keep, (-1, num_blocks * _BLOCK))


def _any_of(matrix, chosen):
    """Return bool [B, N]: whether a row of [B, N, M] is true in a column that is chosen, [B, 1, M]."""
    return ops.any(matrix & chosen, -1)


def _keep_within(alive, overlaps):
    """Return bool [B, N]: who of N candidates survives; ``overlaps`` [B, N, N] is true for earlier rivals.

    Whoever has no kept earlier rival is kept. Repeating that rule settles at least one more candidate each
    time, in order, so it ends at the greedy answer after as many steps as the longest chain of rivals.
    """

    def step(_, keep):
        return keep, alive & ops.logical_not(_any_of(overlaps, ops.expand_dims(keep, 1)))

    start = step(None, alive)
    _, keep = ops.while_loop(
        lambda before, keep: ops.any(ops.not_equal(before, keep)),
        step,
        start,
        maximum_iterations=alive.shape[1],
    )
    return keep
