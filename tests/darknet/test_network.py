"""Networks made from cfgs compute what Darknet computes, and their weights go back to the same bytes."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.darknet.networks import DATA, NANO, YOLO, needs_data, random_image, random_weights, run, text_of
from tests.darknet.reference import forward, raw_outputs
from yolo3.darknet.cfg import parse_cfg, read_cfg
from yolo3.darknet.heads import yolo_heads
from yolo3.darknet.keras_weights import load_weights, save_weights
from yolo3.darknet.layers import resolve_layers
from yolo3.darknet.network import build_all_outputs, build_network
from yolo3.darknet.weights import open_weights

CONV = "[convolutional]\nfilters={}\nsize={}\nstride={}\n{}\nactivation={}\n"


PLAIN = CONV.format(3, 1, 1, "", "linear")


YOLO_V1 = """
[dropout]
probability=.5
[connected]
output=6
batch_normalize=1
activation=leaky
[connected]
output=28
activation=linear
[detection]
side=2
classes=2
num=1
coords=4
"""


SQUEEZE = "[avgpool]\n" + CONV.format(4, 1, 1, "", "logistic") + "[scale_channels]\nfrom=0\n"


CASES = {
    "two heads": YOLO,
    "stride 2": CONV.format(4, 3, 2, "pad=1\nbatch_normalize=1", "leaky"),
    "size 5, stride 3": CONV.format(4, 5, 3, "pad=1", "logistic"),
    "strides of their own": CONV.format(4, 3, 2, "pad=1\nstride_x=1\nstride_y=3", "linear"),
    "even size": CONV.format(4, 2, 1, "pad=1", "linear"),
    "padding 2": CONV.format(4, 3, 1, "padding=2", "linear"),
    "no padding": CONV.format(4, 3, 1, "", "linear"),
    "1x1, stride 2": CONV.format(4, 1, 2, "", "linear"),
    "dilation": CONV.format(4, 3, 1, "pad=1\ndilation=2", "linear"),
    "dilation and stride": CONV.format(4, 3, 2, "pad=1\ndilation=2", "linear"),
    "depthwise, three each, stride 2": CONV.format(9, 3, 2, "pad=1\ngroups=3", "linear"),
    "groups": CONV.format(4, 3, 1, "pad=1", "linear") + CONV.format(6, 3, 2, "pad=1\ngroups=2", "relu"),
    "maxpool 3/2": PLAIN + "[maxpool]\nsize=3\nstride=2\n",
    "maxpool 2/1": PLAIN + "[maxpool]\nsize=2\nstride=1\n",
    "maxpool 5/1": PLAIN + "[maxpool]\nsize=5\nstride=1\n",
    "maxpool 5/3, padding 2": PLAIN + "[maxpool]\nsize=5\nstride=3\npadding=2\n",
    "maxpool without padding": PLAIN + "[maxpool]\nsize=3\nstride=2\npadding=0\n",
    "upsample and scale": PLAIN + "[upsample]\nstride=3\nscale=.5\n",
    "route with groups": CONV.format(6, 1, 1, "", "linear") + "[route]\nlayers=-1,0\ngroups=3\ngroup_id=1\n",
    "shortcut of three": PLAIN * 3 + "[shortcut]\nfrom=-2,0\nactivation=leaky\n",
    "shortcut with factors": PLAIN * 2 + "[shortcut]\nfrom=-2\nalpha=.5\nbeta=2\n",
    "shortcut of more channels": CONV.format(8, 1, 1, "", "linear") + PLAIN + "[shortcut]\nfrom=-2\nactivation=leaky\n",
    "shortcut of fewer channels": PLAIN + CONV.format(8, 1, 1, "", "linear") + "[shortcut]\nfrom=-2\nactivation=relu\n",
    "shortcut of twice the size": PLAIN + CONV.format(8, 3, 2, "pad=1", "linear") + "[shortcut]\nfrom=-2\n",
    "shortcut with factors of layers": PLAIN * 2 + "[shortcut]\nfrom=-2\nweights_type=per_feature\n",
    "shortcut with relu factors": PLAIN * 3
    + "[shortcut]\nfrom=-2,-3\nweights_type=per_channel\nweights_normalization=relu\nactivation=mish\n",
    "shortcut with softmax factors": CONV.format(8, 1, 1, "", "linear")
    + PLAIN
    + "[shortcut]\nfrom=-2\nweights_type=per_channel\nweights_normalization=softmax\n",
    "squeeze and excitation": CONV.format(4, 1, 1, "", "leaky") + SQUEEZE,
    "sam": CONV.format(4, 1, 1, "", "leaky") * 2 + "[sam]\nfrom=-2\n",
    "reorg": CONV.format(8, 1, 1, "", "linear") + "[reorg]\nstride=2\n",
    "crop": "[crop]\ncrop_height=9\ncrop_width=8\n" + CONV.format(4, 3, 1, "pad=1", "linear"),
    "local": "[local]\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=leaky\n",
    "local without padding": "[local]\nfilters=4\nsize=2\nstride=1\npad=0\nactivation=linear\n",
    "YOLOv1": CONV.format(4, 3, 2, "pad=1", "leaky") + YOLO_V1,
    "connected, convolution": "[connected]\noutput=6\nactivation=relu\n" + PLAIN + "[softmax]\n",
}


def check_parity(tmp_path, text, tolerance=1e-4):
    """Compare the network of `text` with the NumPy one, on random weights: relative to the largest output."""
    cfg = parse_cfg(text, "test.cfg")
    height, width, channels = cfg.input_shape
    path = tmp_path / "random.weights"
    floats = random_weights(path, cfg)
    model = build_network(cfg, (None, None, channels))
    load_weights(model, cfg, path)
    image = random_image((channels, height, width))
    reference = forward(text, floats, image)
    expected = raw_outputs(text, reference) or reference[-1:]
    results = run(model, image)
    assert len(results) == len(expected)
    for result, each in zip(results, expected):
        each = each.reshape(-1) if result.ndim == 1 else each.transpose(1, 2, 0)
        assert result.shape == each.shape
        assert np.abs(result - each).max() <= tolerance * np.abs(each).max()
    save_weights(model, cfg, tmp_path / "back.weights", open_weights(path, cfg).header)
    assert (tmp_path / "back.weights").read_bytes() == path.read_bytes()
    return model


@pytest.mark.parametrize("layers", CASES.values(), ids=CASES)
def test_networks_compute_what_darknet_computes(tmp_path, layers):
    check_parity(tmp_path, text_of(layers))


def test_odd_sides_and_grey_images_are_computed_too(tmp_path):
    layers = (
        CONV.format(4, 3, 2, "pad=1", "leaky")
        + "[maxpool]\nsize=2\nstride=2\n"
        + CONV.format(4, 3, 2, "pad=1", "leaky")
    )
    check_parity(tmp_path, text_of(layers, width=17, height=13, channels=1))


def test_a_grey_network_takes_colours_and_computes_with_their_luminance(tmp_path):
    cfg = parse_cfg(text_of(CONV.format(4, 3, 2, "pad=1", "leaky"), channels=1))
    path = tmp_path / "random.weights"
    random_weights(path, cfg)
    colours, greys = build_network(cfg), build_network(cfg, (None, None, 1))
    for model in (colours, greys):
        load_weights(model, cfg, path)
    image = random_image((3, 16, 16))
    grey = np.tensordot([0.299, 0.587, 0.114], image, 1)[None].astype(np.float32)
    np.testing.assert_allclose(run(colours, image)[0], run(greys, grey)[0], rtol=1e-4, atol=1e-5)
    save_weights(colours, cfg, tmp_path / "back.weights", open_weights(path, cfg).header)
    assert (tmp_path / "back.weights").read_bytes() == path.read_bytes()


def test_every_layer_agrees_with_the_reference(tmp_path):
    text = text_of(YOLO)
    cfg = parse_cfg(text)
    floats = random_weights(tmp_path / "a.weights", cfg)
    model = build_all_outputs(cfg)
    load_weights(model, cfg, tmp_path / "a.weights")
    image = random_image((3, 16, 16))
    reference = forward(text, floats, image)
    for layer, result, expected in zip(resolve_layers(cfg), run(model, image), reference, strict=True):
        assert layer.out_shape == result.shape, layer
        np.testing.assert_allclose(result, expected.transpose(1, 2, 0), atol=1e-4, err_msg=str(layer))


def test_outputs_keep_the_order_of_the_cfg_at_any_input_size():
    model = build_network(parse_cfg(text_of(YOLO)))
    assert model.input_shape == (None, None, None, 3)
    coarse, fine = model(np.zeros((2, 32, 64, 3), np.float32))
    assert coarse.shape == (2, 8, 16, 14) and fine.shape == (2, 16, 32, 14)


def test_layers_are_named_in_the_order_of_the_cfg():
    model = build_network(parse_cfg(text_of(YOLO)))
    names = {layer.name for layer in model.layers}
    assert {"conv_0", "bn_0", "leaky_0", "pad_0", "conv_1", "relu_1", "conv_4", "bn_4"} <= names
    assert model.get_layer("bn_0").epsilon == 1e-5 and model.get_layer("bn_0").momentum == 0.99
    assert not model.get_layer("conv_0").use_bias and model.get_layer("conv_3").use_bias


def test_a_network_with_connected_layers_takes_the_size_of_the_cfg():
    cfg = parse_cfg(text_of("[connected]\noutput=3\nactivation=linear\n"))
    assert build_network(cfg).input_shape == (None, 16, 16, 3)
    assert build_network(cfg, (8, 24, 3)).get_layer("connected_0").kernel.shape == (8 * 24 * 3, 3)


def test_another_normalization_class_takes_the_place_of_keras_own(tmp_path):
    class Normalization(keras.layers.BatchNormalization):
        pass

    cfg = parse_cfg(text_of(YOLO))
    model = build_network(cfg, batch_norm=Normalization)
    assert isinstance(model.get_layer("bn_0"), Normalization)
    random_weights(tmp_path / "a.weights", cfg)
    load_weights(model, cfg, tmp_path / "a.weights")
    stock = build_network(cfg)
    load_weights(stock, cfg, tmp_path / "a.weights")
    image = random_image((3, 16, 16))
    for one, other in zip(run(model, image), run(stock, image)):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_a_network_trains(tmp_path):
    model = build_network(parse_cfg(text_of(YOLO)))
    model.compile("sgd", ["mse", "mse"])
    before = [variable.numpy() for variable in model.trainable_variables]
    images = np.random.default_rng(0).random((2, 16, 16, 3), dtype=np.float32)
    loss = model.train_on_batch(images, [np.ones((2, 4, 4, 14)), np.ones((2, 8, 8, 14))])
    assert np.isfinite(loss).all()
    changed = [np.abs(old - new.numpy()).max() > 0 for old, new in zip(before, model.trainable_variables)]
    assert all(changed)


@pytest.mark.slow
def test_saved_networks_open_with_keras_alone(tmp_path):
    layers = YOLO.replace("[route]\nlayers=-1, 3", "[route]\nlayers=-1,3\ngroups=2\ngroup_id=1")
    model = build_network(parse_cfg(text_of(layers)))
    paths = [str(tmp_path / f"model{suffix}") for suffix in (".h5", ".keras")]
    for path in paths:
        model.save(path)
    image = random_image((3, 16, 16))
    np.save(tmp_path / "image.npy", image.transpose(1, 2, 0)[None])
    code = (
        "import sys, json, keras, numpy as np\n"
        "models = [keras.models.load_model(path, compile=False) for path in sys.argv[2:]]\n"
        "outputs = [output for model in models for output in model(np.load(sys.argv[1]))]\n"
        "assert not any(name.startswith('yolo3') for name in sys.modules)\n"
        "print(json.dumps([float(keras.ops.sum(output)) for output in outputs]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "image.npy"), *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = [output.sum() for output in run(model, image)] * 2
    np.testing.assert_allclose(json.loads(done.stdout.splitlines()[-1]), expected, rtol=1e-4)


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("yolov3", 64),
        ("yolov3-tiny", 64),
        ("yolov3-spp", 64),
        ("yolov3-voc", 64),
        ("yolov1-tiny", 448),
        ("yolov1", 448),
        ("darknet53", 64),
    ],
)
def test_darknets_networks_agree_with_the_reference(tmp_path, name, size):
    text = (DATA / "darknet" / "cfg" / f"{name}.cfg").read_text()
    lines = [line for line in text.splitlines() if not line.replace(" ", "").startswith(("width=", "height="))]
    text = "\n".join(lines).replace("[net]", f"[net]\nwidth={size}\nheight={size}", 1)
    check_parity(tmp_path, text)


@needs_data
def test_a_trained_network_gives_darknets_own_numbers():
    cfg = read_cfg(NANO)
    model = build_network(cfg)
    loaded = load_weights(model, cfg, NANO.with_suffix(".weights"))
    assert loaded.file.floats == model.count_params() == 891_070
    golden = np.load(DATA / "golden" / "nano_coco_dog_raw.npz")
    for result, name in zip(run(model, golden["input_chw"]), ("raw0", "raw1"), strict=True):
        expected = golden[name].transpose(1, 2, 0)
        assert np.abs(result - expected).max() <= 1e-4 * np.abs(expected).max()
    assert [head.scale_x_y for head in yolo_heads(cfg)] == [1.1, 1.05]


@needs_data
@pytest.mark.slow
def test_the_reference_gives_darknets_own_numbers():
    text = NANO.read_text()
    golden = np.load(DATA / "golden" / "nano_coco_dog_raw.npz")
    floats = np.fromfile(NANO.with_suffix(".weights"), "<f4", offset=20)
    outputs = raw_outputs(text, forward(text, floats, golden["input_chw"]))
    for result, name in zip(outputs, ("raw0", "raw1"), strict=True):
        assert np.abs(result - golden[name]).max() <= 1e-4 * np.abs(golden[name]).max()
