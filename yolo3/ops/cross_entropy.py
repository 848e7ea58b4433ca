"""Binary cross-entropy of logits, and the least value it can take."""

from keras import ops


def binary_cross_entropy(logits, targets):
    """Return -t ln p - (1 - t) ln(1 - p) with p = sigmoid(logit), element by element, without overflow.

    Written with ``where``: the derivatives of relu and abs at a logit of exactly 0 would not add up to p - t.
    """
    positive = logits >= 0
    magnitude = ops.where(positive, logits, -logits)
    return ops.where(positive, logits, 0.0) - logits * targets + ops.softplus(-magnitude)


def entropy(targets):
    """Return the least value of cross-entropy with ``targets`` in 0..1: 0 for targets 0 and 1, ln 2 for 1/2."""
    inside = ops.clip(targets, 1e-7, 1 - 1e-7)
    return -(inside * ops.log(inside) + (1 - inside) * ops.log(1 - inside))
