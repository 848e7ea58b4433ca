"""Momenta of the moving averages of a run, by its length: of the weights, and of the statistics of normalization."""

from yolo3.darknet.blocks import BN_MOMENTUM


def default_ema(total_steps: int) -> float:
    """Return a momentum that averages weights over about the last fortieth of a run, at most 1000 steps."""
    return 1 - 1 / max(min(total_steps / 40, 1000), 2)


def statistics_momentum(total_steps: int) -> float:
    """Return the momentum of the moving averages in batch normalization: Darknet's, or less in short runs."""
    return min(BN_MOMENTUM, 1 - 1 / max(total_steps / 20, 2))
