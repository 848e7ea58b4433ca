"""Draw the layers of a network as an image, with pydot and Graphviz."""

from __future__ import annotations

import os
import shutil

import keras


def check_plot(path: str | os.PathLike[str]) -> None:
    """Check that the programs that `plot_network` needs are installed.

    Raises:
        ValueError: With `path`, if pydot or Graphviz is missing.
    """
    try:
        import pydot  # noqa: F401
    except ImportError as error:
        raise ValueError(f"{path}: drawing the network needs pydot; install it with 'pip install pydot'") from error
    if shutil.which("dot") is None:
        raise ValueError(f"{path}: drawing the network needs Graphviz, but its program 'dot' was not found")


def plot_network(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Draw the layers of a network with their names and shapes."""
    keras.utils.plot_model(model, to_file=os.fspath(path), show_shapes=True, show_layer_names=True)
