"""What losses on anchors share: smooth L1, and the mean over the images of a batch."""

from keras import ops

SMOOTH_L1_BETA = 1 / 9  # Faster R-CNN's code: sigma 3, and beta = 1 / sigma^2


def smooth_l1(error, beta: float = SMOOTH_L1_BETA):
    """Return error^2 / (2 beta) where |error| < beta, else |error| - beta / 2, element by element.

    Source: Fast R-CNN (Girshick 2015), equation 3, where beta is 1.

    Args:
        error: Float tensor.
        beta: Where the parabola becomes a line, above 0.
    """
    size = ops.abs(error)
    return ops.where(size < beta, 0.5 / beta * error * error, size - 0.5 * beta)


def mean_over_images(values, mask, normalizers):
    """Return the mean over images of the sum of ``values`` under ``mask``, divided by each image's normalizer.

    Args:
        values: float32 [B, N].
        mask: Bool [B, N], the values that count.
        normalizers: float32 [B]; those below 1 count as 1.
    """
    return ops.mean(ops.sum(ops.where(mask, values, 0.0), 1) / ops.maximum(normalizers, 1.0))
