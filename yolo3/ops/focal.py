"""The focal loss, which down-weights easy examples.

Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", section 3.
"""

from keras import ops


def focal_loss(logits, targets, alpha: float = 0.25, gamma: float = 2.0):
    """Return the binary focal loss of logits, element by element, without overflow.

    With p = sigmoid(z) and targets t (equation 5 of the paper, for targets of 0 and 1):

        - alpha t (1 - p)^gamma ln p  -  (1 - alpha) (1 - t) p^gamma ln(1 - p)

    ``gamma`` 0 and ``alpha`` 1/2 make it half of the binary cross-entropy. Written with ln p = -softplus(-z) and
    1 - p = exp(-softplus(z)), which are exact and smooth for every logit.

    Args:
        logits: float [...].
        targets: 0..1, of the same shape or one that broadcasts.
        alpha: Weight of positive targets, 0..1; negative ones weigh 1 - alpha.
        gamma: Focusing parameter, 0 or more: how fast the loss falls as p comes near its target.

    Returns:
        float [...].
    """
    cross_entropy_of_1, cross_entropy_of_0 = ops.softplus(-logits), ops.softplus(logits)  # -ln p, -ln(1 - p)
    positive = targets * ops.exp(-gamma * cross_entropy_of_0) * cross_entropy_of_1
    negative = (1 - targets) * ops.exp(-gamma * cross_entropy_of_1) * cross_entropy_of_0
    return alpha * positive + (1 - alpha) * negative
