"""Rewrite a network into an equivalent one that makes fewer passes over its features.

For detection, batch normalization is folded into the convolution before it: with the scale
s = gamma / sqrt(variance + epsilon) of each channel, a convolution K, b followed by normalization is the convolution
K s, (b - mean) s + beta. For training, max pooling is moved before the activation, which keeps the order of values.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)


def fold_batch_norm(network: keras.Model, policy: str | None = None) -> keras.Model:
    """Return a copy of a network whose convolutions do the work of the normalization that follows them.

    Normalization that follows anything else, or a convolution whose output is used elsewhere too, stays. The copy has
    weights of its own: what the network learns later is not in it. Its outputs differ by rounding.

    Args:
        network: A functional network.
        policy: Dtype policy of the copy's layers, by default the network's own.

    Returns:
        A ``keras.Model`` whose layers have the names of the network's.

    Raises:
        ValueError: For a network that is not functional, and with a policy for one with models within it.
    """
    if not is_functional(network):
        raise ValueError(f"expected a functional network, got a {type(network).__name__}")
    if policy is not None and any(isinstance(layer, keras.Model) for layer in network.layers):
        raise ValueError(f"expected a network without models within it, to compute in {policy}")

    folded = _folded_norms(network)
    norms = {norm.name for norm in folded.values()}

    def copy(layer):
        if layer.name in norms:
            return layers.Identity(name=layer.name)
        config = layer.get_config()
        if policy is not None and "dtype" in config:  # operations such as keras.ops.add have none
            config |= {"dtype": policy}
        if getattr(layer, "weights", ()):  # they replace what it begins with, which takes long to draw at random
            config |= dict.fromkeys((name for name in config if name.endswith("_initializer")), "zeros")
        if layer.name in folded:
            config |= {"use_bias": True}
        return layer.__class__.from_config(config)

    def call(layer, *args, **kwargs):
        return args[0] if layer.name in norms else layer(*args, **kwargs)

    result = keras.models.clone_model(network, clone_function=copy, call_function=call)
    update_folded(result, network)
    return result


def update_folded(copy: keras.Model, network: keras.Model) -> None:
    """Give a copy of a network that `fold_batch_norm` made the present weights of the network."""
    folded = _folded_norms(network)
    norms = {norm.name for norm in folded.values()}
    for layer in network.layers:
        if layer.name in folded:
            copy.get_layer(layer.name).set_weights(_folded_weights(layer, folded[layer.name]))
        elif layer.weights and layer.name not in norms:
            copy.get_layer(layer.name).set_weights(layer.get_weights())


def pool_before_activation(network: keras.Model) -> keras.Model:
    """Return a network of the same layers in which max pooling comes before the leaky ReLU whose output it read.

    Pooling commutes with a function that keeps the order, so the outputs are the same; the activation and its gradient
    then work on the pooled features alone. An activation that something else reads too stays where it is.

    Args:
        network: Any network; one that is not functional is returned as it is.

    Returns:
        A ``keras.Model`` that shares the layers, and so the weights, with the network. ``input`` and ``output`` of the
        layers stay those of the network that was given.
    """
    if not is_functional(network):
        return network

    late = {}  # name of a pooling layer: the activation that moves behind it
    for layer in network.layers:
        if isinstance(layer, layers.LeakyReLU):
            reader = _only_reader(layer, network)
            if isinstance(reader, layers.MaxPooling2D):
                late[reader.name] = layer
    if not late:
        return network

    moved = {layer.name for layer in late.values()}

    def call(layer, *args, **kwargs):
        if layer.name in moved:
            return args[0]
        outputs = layer(*args, **kwargs)
        return late[layer.name](outputs) if layer.name in late else outputs

    return keras.models.clone_model(network, clone_function=lambda layer: layer, call_function=call)


def is_functional(network: keras.Model) -> bool:
    """Return whether a network is a graph of layers that can be inspected."""
    return hasattr(network, "_nodes_by_depth")


def _folded_norms(network) -> dict:
    """Return the normalization that is the only reader of a convolution's output, by the convolution's name."""
    folded = {}
    for layer in network.layers:
        if type(layer) in _CONVOLUTIONS and layer.activation is keras.activations.linear:
            norm = _only_reader(layer, network)
            if isinstance(norm, layers.BatchNormalization):
                axis = norm.axis if isinstance(norm.axis, int) else norm.axis[0]
                if axis in (-1, len(layer.output.shape) - 1):
                    folded[layer.name] = norm
    return folded


def _only_reader(layer, network):
    """Return the only layer that reads the only output of a layer; ``None`` unless both are used once."""
    nodes = [node for group in network._nodes_by_depth.values() for node in group]
    calls = [node for node in nodes if node.operation is layer]
    if len(calls) != 1 or len(calls[0].output_tensors) != 1:
        return None

    (result,) = calls[0].output_tensors
    if any(output is result for output in network.outputs):
        return None
    readers = [node.operation for node in nodes if any(part is result for part in node.input_tensors)]
    if len(readers) != 1 or sum(node.operation is readers[0] for node in nodes) != 1:
        return None
    return readers[0]


def _folded_weights(convolution, norm) -> list[np.ndarray]:
    """Return kernel and bias of the convolution that does what both layers do."""
    kernel, *bias = convolution.get_weights()
    scale = 1 / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    if norm.scale:
        scale = scale * norm.gamma.numpy()
    shift = ((bias[0] if bias else 0) - norm.moving_mean.numpy()) * scale
    if norm.center:
        shift = shift + norm.beta.numpy()

    if isinstance(convolution, layers.DepthwiseConv2D):  # [h, w, in, multiplier]
        return [kernel * scale.reshape(kernel.shape[-2:]), shift]
    return [kernel * scale, shift]
