"""A whole model as Keras 2.1.5 wrote it, by hand: a small network of the kinds of layers that keras-yolo3 is made of.

Two outputs of 18 channels (three anchors, one class), at strides 4 and 2, the coarse one first.
"""

import json

import h5py
import numpy as np


def _layer(class_name, name, sources, **config):
    inbound = [[[source, 0, 0, {}] for source in sources]] if sources else []
    return {"class_name": class_name, "name": name, "inbound_nodes": inbound, "config": {"name": name, **config}}


def _initializer(name):
    return {"class_name": name, "config": {}}


def _convolution(number, source, filters, size, strides, padding, use_bias):
    spread = {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None}
    return _layer(
        "Conv2D", f"conv2d_{number}", [source], trainable=True, filters=filters, kernel_size=[size] * 2,
        strides=[strides] * 2, padding=padding, data_format="channels_last", dilation_rate=[1, 1], activation="linear",
        use_bias=use_bias, kernel_initializer={"class_name": "VarianceScaling", "config": spread},
        bias_initializer=_initializer("Zeros"), bias_regularizer=None, activity_regularizer=None,
        kernel_regularizer={"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.0005}}, kernel_constraint=None,
        bias_constraint=None,
    )  # fmt: skip


def _normalization(number):
    return _layer(
        "BatchNormalization", f"batch_normalization_{number}", [f"conv2d_{number}"], trainable=True, axis=-1,
        momentum=0.99, epsilon=0.001, center=True, scale=True, beta_initializer=_initializer("Zeros"),
        gamma_initializer=_initializer("Ones"), moving_mean_initializer=_initializer("Zeros"),
        moving_variance_initializer=_initializer("Ones"), beta_regularizer=None, gamma_regularizer=None,
        beta_constraint=None, gamma_constraint=None,
    )  # fmt: skip


def _leaky(number):
    return _layer("LeakyReLU", f"leaky_re_lu_{number}", [f"batch_normalization_{number}"], alpha=0.10000000149011612)


LAYERS = [
    _layer("InputLayer", "input_1", [], batch_input_shape=[None, None, None, 3], dtype="float32", sparse=False),
    _layer("ZeroPadding2D", "zero_padding2d_1", ["input_1"], padding=[[1, 0], [1, 0]], data_format="channels_last"),
    _convolution(1, "zero_padding2d_1", 4, 3, 2, "valid", False),
    _normalization(1),
    _leaky(1),
    _layer("MaxPooling2D", "max_pooling2d_1", ["leaky_re_lu_1"], pool_size=[2, 2], padding="same", strides=[2, 2]),
    _convolution(2, "max_pooling2d_1", 4, 1, 1, "same", False),
    _normalization(2),
    _leaky(2),
    _layer("Add", "add_1", ["max_pooling2d_1", "leaky_re_lu_2"]),
    _layer("UpSampling2D", "up_sampling2d_1", ["add_1"], size=[2, 2], data_format="channels_last"),
    _layer("Concatenate", "concatenate_1", ["up_sampling2d_1", "leaky_re_lu_1"], axis=-1),
    _convolution(4, "add_1", 18, 1, 1, "same", True),
    _convolution(3, "concatenate_1", 18, 1, 1, "same", True),
]
SHAPES = {
    "conv2d_1": {"kernel": (3, 3, 3, 4)},
    "conv2d_2": {"kernel": (1, 1, 4, 4)},
    "conv2d_3": {"kernel": (1, 1, 8, 18), "bias": (18,)},
    "conv2d_4": {"kernel": (1, 1, 4, 18), "bias": (18,)},
}
SHAPES |= {
    f"batch_normalization_{number}": dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (4,))
    for number in (1, 2)
}


def write_keras2_model(path) -> dict[str, np.ndarray]:
    """Write the file and return its arrays, named "layer/weight"."""
    outputs = [["conv2d_4", 0, 0], ["conv2d_3", 0, 0]]
    config = {"name": "model_1", "layers": LAYERS, "input_layers": [["input_1", 0, 0]], "output_layers": outputs}
    rng = np.random.default_rng(0)
    arrays = {}
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = b"2.1.5", b"tensorflow"
        file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": config}).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [layer["name"].encode() for layer in LAYERS]
        for layer in LAYERS:
            name = layer["name"]
            part = group.create_group(name)
            for weight, shape in SHAPES.get(name, {}).items():
                arrays[f"{name}/{weight}"] = np.abs(rng.normal(size=shape)).astype(np.float32)
                part[f"{name}/{weight}:0"] = arrays[f"{name}/{weight}"]
            part.attrs["weight_names"] = [f"{name}/{weight}:0".encode() for weight in SHAPES.get(name, {})]
    return arrays


def write_keras2_weights(model, path, first: int = 1, pieces: int = 1) -> None:
    """Write the weights of a network of ours as keras-yolo3 did: alone, under the names that Keras 2 gave.

    Convolutions and normalizations are numbered from ``first`` on, as in a process that has made other models before,
    and the layers stand in another order. ``pieces``: into how many attributes the list of names is cut.
    """
    kinds = {"conv": "conv2d", "bn": "batch_normalization"}
    layers = [layer for layer in model.layers if layer.weights]
    groups = {}
    for kind, keras_kind in kinds.items():
        own = [layer for layer in layers if layer.name.startswith(f"{kind}_")]
        own.sort(key=lambda layer: int(layer.name.split("_")[1]))
        groups |= {f"{keras_kind}_{first + index}": layer.get_weights() for index, layer in enumerate(own)}

    names = [name.encode() for name in sorted(groups, reverse=True)] + [b"leaky_re_lu_1"]
    with h5py.File(path, "w") as file:
        if pieces == 1:
            file.attrs["layer_names"] = names
        else:
            for index, piece in enumerate(np.array_split(names, pieces)):
                file.attrs[f"layer_names{index}"] = piece
        file.create_group("leaky_re_lu_1").attrs["weight_names"] = []
        for name, arrays in groups.items():
            group = file.create_group(name)
            weights = [f"{name}/array_{index}:0" for index in range(len(arrays))]
            group.attrs["weight_names"] = [weight.encode() for weight in weights]
            for weight, array in zip(weights, arrays, strict=True):
                group[weight] = array
