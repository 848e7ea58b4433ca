"""The focal loss, which counts what is found already for little.

With p = sigmoid(z) and targets t (Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5):

    - alpha t (1 - p)^gamma ln p  -  (1 - alpha) (1 - t) p^gamma ln(1 - p)

Gamma 0 and alpha 1/2 make it half of the cross-entropy.
"""

from keras import ops


def focal_loss(logits, targets, alpha: float = 0.25, gamma: float = 2.0):
    """Return the focal loss, element by element, without overflow.

    ``logits``: any float. ``targets``: 0 to 1, of the same shape or one that broadcasts. ``alpha``: weight of targets
    of 1, 0 to 1; those of 0 weigh 1 - alpha. ``gamma``: 0 or more, how fast the loss falls as p comes near its target.
    Written with ln p = -softplus(-z) and 1 - p = exp(-softplus(z)), which are exact and smooth for every logit.
    """
    minus_ln_p, minus_ln_rest = ops.softplus(-logits), ops.softplus(logits)  # -ln p, -ln(1 - p)
    found = targets * ops.exp(-gamma * minus_ln_rest) * minus_ln_p
    left_out = (1 - targets) * ops.exp(-gamma * minus_ln_p) * minus_ln_rest
    return alpha * found + (1 - alpha) * left_out
