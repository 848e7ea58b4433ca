"""The figures of an evaluation as text, and as JSON takes them."""

from __future__ import annotations

import math

_EMPTY_SHOWN = 5  # classes without ground truth that have a row of their own


def format_table(results: dict) -> str:
    """Return a table with AP50, AP and the number of annotated objects of each class and of all.

    Args:
        results: Figures as from `yolo3.evaluation.coco.coco_results`. Classes without objects have a row each while
            they are few, and a line together when they are many.
    """
    empty = [name for name, part in results["per_class"].items() if not part["num_truths"]]
    hidden = empty if len(empty) > _EMPTY_SHOWN else []
    rows = [
        (name, part["AP50"], part["AP"], part["num_truths"])
        for name, part in results["per_class"].items()
        if name not in hidden
    ]
    rows.append(("all", results["AP50"], results["AP"], sum(row[3] for row in rows)))

    width = max(len(row[0]) for row in rows) + 2
    lines = [f"{'class':<{width}}{'AP50':>8}{'AP':>8}{'objects':>9}"]
    lines += [f"{name:<{width}}{_figure(ap50):>8}{_figure(ap):>8}{objects:>9}" for name, ap50, ap, objects in rows]
    return "\n".join(lines + ([f"({len(hidden)} classes have no objects)"] if hidden else []))


def format_trained(trained: int, number: int) -> str:
    """Return a line on how many of the images that are evaluated the network was trained on.

    Args:
        trained: Images that were trained on.
        number: All images.
    """
    if not trained:
        return f"None of these {number} images was trained on."
    were = "was" if trained == 1 else "were"
    return (
        f"{trained} of these {number} images {were} trained on: on new images the network is worse than these figures "
        "say; validation images of its run, or another list, tell more."
    )


def format_line(figures: dict) -> str:
    """Return the figures of `yolo3.evaluation.measures.Measures.at_score` as a line."""
    parts = [f"{name} {_figure(figures[name])}" for name in ("precision", "recall", "F1")]
    best = f"best F1 {_figure(figures['best_F1'])} at a score of {_figure(figures['best_score'])}"
    if math.isnan(figures["best_F1"]):
        best = "no hit at any score"
    return f"at a score of {figures['score']:g}: {', '.join(parts)}; {best}"


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def without_nan(value):
    """Return a value with None in place of NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {key: without_nan(part) for key, part in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
