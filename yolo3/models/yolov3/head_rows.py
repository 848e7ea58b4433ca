"""What heads for other classes share with one's own: boxes, objectness, and classes of the same name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_BOX_AND_OBJECTNESS = 5


def keep_head_rows(
    own: Sequence[np.ndarray], stored: Sequence[np.ndarray], class_names: Sequence[str], stored_names: Sequence[str]
) -> list[np.ndarray] | None:
    """Return the weights of a head with what those for other classes share with it: each anchor's box and objectness.

    The row of a class of the same name is kept too, whatever its number; rows of other classes stay as they are.

    Args:
        own: Kernel [k, k, F, A * (5 + C)] of the head, and bias [A * (5 + C)] where it has one.
        stored: The same arrays of the other network, with A * (5 + M) in place of A * (5 + C).
        class_names: The C names of the classes.
        stored_names: Those M of the other network.

    Returns:
        Arrays of the shapes of `own`; None where `stored` is not such a head, such as one with more anchors.
    """
    sizes = _BOX_AND_OBJECTNESS + len(class_names), _BOX_AND_OBJECTNESS + len(stored_names)
    if len(own) != len(stored):
        return None
    kept = []
    columns = [(class_names.index(name), stored_names.index(name)) for name in class_names if name in stored_names]
    for mine, theirs in zip(own, stored):
        num_anchors = mine.shape[-1] // sizes[0]
        shapes = [(*array.shape[:-1], num_anchors, size) for array, size in zip((mine, theirs), sizes)]
        if shapes[0][:-1] != shapes[1][:-1] or any(
            array.shape[-1] != num_anchors * size for array, size in zip((mine, theirs), sizes)
        ):
            return None
        result, source = mine.reshape(shapes[0]).copy(), theirs.reshape(shapes[1])
        result[..., :_BOX_AND_OBJECTNESS] = source[..., :_BOX_AND_OBJECTNESS]
        for own_id, stored_id in columns:
            result[..., _BOX_AND_OBJECTNESS + own_id] = source[..., _BOX_AND_OBJECTNESS + stored_id]
        kept.append(result.reshape(mine.shape))
    return kept
