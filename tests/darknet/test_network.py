"""Networks made from cfgs compute what Darknet computes, and their weights go back to the same bytes."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.darknet_reference import forward, raw_outputs
from yolo3.darknet.cfg import parse_cfg, read_cfg
from yolo3.darknet.layers import resolve_layers, with_classes
from yolo3.darknet.network import build_all_outputs, build_network, load_weights, save_weights, yolo_heads
from yolo3.darknet.weights import Header, format_header, layer_arrays, open_weights
from yolo3.models.yolov3.networks import spp_yolo_body, tiny_yolo_body, yolo_body

DATA = Path(__file__).parents[3] / "shared" / "data"
NANO = DATA / "darknet" / "weights" / "MobileNetV2-YOLOv3-Nano-coco.cfg"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")

# A residual unit, a depthwise and a grouped convolution, two heads and routes: a YOLOv3 in small.
YOLO = """
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
[convolutional]
batch_normalize=1
filters=16
size=3
groups=8
pad=1
activation=relu
[convolutional]
filters=8
size=1
groups=2
pad=1
activation=mish
[shortcut]
from=-3
activation=linear
[maxpool]
size=2
stride=2
[convolutional]
filters=14
size=1
pad=1
activation=linear
[yolo]
mask=2,3
anchors=10,13, 16,30, 33,23, 30,61
num=4
classes=2
scale_x_y=1.05
[route]
layers=-3
[convolutional]
batch_normalize=1
filters=4
size=1
activation=swish
[upsample]
stride=2
[route]
layers=-1, 3
[convolutional]
filters=14
size=1
pad=1
activation=linear
[yolo]
mask=0,1
anchors=10,13, 16,30, 33,23, 30,61
num=4
classes=2
"""


def text_of(layers, width=16, height=16, channels=3):
    return f"[net]\nwidth={width}\nheight={height}\nchannels={channels}\n{layers}"


HEADER = Header(0, 2, 5, 640)


def random_weights(path, cfg, header=HEADER, seed=0):
    """Write a file of random weights, with positive variances and outputs of moderate size, and return its
    numbers.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for layer in layer_arrays(cfg):
        for name, shape in layer.shapes.items():
            values = rng.standard_normal(shape).astype(np.float32)
            if name == "variance":
                values = np.abs(values) + 0.5
            elif name == "kernel":
                values /= np.sqrt(np.prod(shape[2:] if layer.layer.kind == "local" else shape[1:]))
            parts.append(values.ravel())
    floats = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    path.write_bytes(format_header(header) + floats.tobytes())
    return floats


def random_image(shape, seed=1):
    """[C, H, W]; negative numbers too, so that a maximum over zeros outside the image would show."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def run(model, image):
    outputs = model(image.transpose(1, 2, 0)[None], training=False)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    return [keras.ops.convert_to_numpy(output)[0] for output in outputs]


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
    "squeeze and excitation": CONV.format(4, 1, 1, "", "leaky") + SQUEEZE,
    "sam": CONV.format(4, 1, 1, "", "leaky") * 2 + "[sam]\nfrom=-2\n",
    "reorg": CONV.format(8, 1, 1, "", "linear") + "[reorg]\nstride=2\n",
    "crop": "[crop]\ncrop_height=9\ncrop_width=8\n" + CONV.format(4, 3, 1, "pad=1", "linear"),
    "local": "[local]\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=leaky\n",
    "local without padding": "[local]\nfilters=4\nsize=2\nstride=1\npad=0\nactivation=linear\n",
    "YOLOv1": CONV.format(4, 3, 2, "pad=1", "leaky") + YOLO_V1,
    "connected, convolution": "[connected]\noutput=6\nactivation=relu\n" + PLAIN + "[softmax]\n",
}


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


def test_another_normalisation_takes_the_place_of_keras_own(tmp_path):
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


def test_a_network_trains(tmp_path):
    model = build_network(parse_cfg(text_of(YOLO)))
    model.compile("sgd", ["mse", "mse"])
    before = [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables]
    images = np.random.default_rng(0).random((2, 16, 16, 3), dtype=np.float32)
    loss = model.train_on_batch(images, [np.ones((2, 4, 4, 14)), np.ones((2, 8, 8, 14))])
    assert np.isfinite(loss).all()
    changed = [
        np.abs(old - keras.ops.convert_to_numpy(new)).max() > 0 for old, new in zip(before, model.trainable_variables)
    ]
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


def test_a_local_layer_is_saved_and_opened(tmp_path):
    model = build_network(parse_cfg(text_of("[local]\nfilters=2\nsize=3\npad=1\nactivation=leaky\n")))
    model.save(tmp_path / "local.keras")
    again = keras.models.load_model(tmp_path / "local.keras")
    image = random_image((3, 16, 16))
    np.testing.assert_array_equal(run(model, image)[0], run(again, image)[0])


def test_a_partial_file_fills_the_first_layers_and_leaves_the_rest(tmp_path):
    cfg = parse_cfg(text_of(YOLO), "yolo.cfg")
    random_weights(tmp_path / "all.weights", cfg)
    full = build_network(cfg)
    load_weights(full, cfg, tmp_path / "all.weights")
    save_weights(full, cfg, tmp_path / "yolo.conv.3", Header(), upto=3)
    model = build_network(cfg)
    before = model.get_layer("conv_3").get_weights()
    filled = load_weights(model, cfg, tmp_path / "yolo.conv.3")
    assert filled.filled == ("conv_0", "conv_1", "conv_2") and filled.missing == (
        "conv_3",
        "conv_4",
        "conv_5",
    )
    assert "filled 3 of 6 layers with weights (conv_0 to conv_2)" in str(filled) and "conv_3 to conv_5" in str(filled)
    for name in ("conv_0", "bn_1", "conv_2"):
        for one, other in zip(model.get_layer(name).get_weights(), full.get_layer(name).get_weights()):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(before[0], model.get_layer("conv_3").get_weights()[0])


def test_heads_for_other_classes_are_left_when_asked(tmp_path):
    cfg = parse_cfg(text_of(YOLO), "yolo.cfg")
    random_weights(tmp_path / "all.weights", cfg)
    model = build_network(with_classes(cfg, 5))
    before = model.get_layer("conv_0").get_weights()[0]
    with pytest.raises(ValueError, match="conv_3, conv_5"):
        load_weights(model, cfg, tmp_path / "all.weights")
    np.testing.assert_array_equal(before, model.get_layer("conv_0").get_weights()[0])
    calls = []
    filled = load_weights(
        model, cfg, tmp_path / "all.weights", skip_mismatch=True, progress=lambda *done: calls.append(done)
    )
    assert filled.mismatched == ("conv_3", "conv_5") and filled.filled == (
        "conv_0",
        "conv_1",
        "conv_2",
        "conv_4",
    )
    assert calls[0] == (1, 6) and calls[-1] == (6, 6)


def test_a_file_that_does_not_fit_leaves_the_model_as_it_is(tmp_path):
    cfg = parse_cfg(text_of(YOLO), "yolo.cfg")
    random_weights(tmp_path / "all.weights", with_classes(cfg, 3))
    model = build_network(cfg)
    before = model.get_weights()
    with pytest.raises(ValueError, match="with 3 classes, where the cfg says 2"):
        load_weights(model, cfg, tmp_path / "all.weights")
    for one, other in zip(before, model.get_weights()):
        np.testing.assert_array_equal(one, other)


@needs_data
def test_the_tiny_network_by_hand_and_from_its_cfg_give_equal_outputs(tmp_path):
    compare_by_hand(tmp_path, "yolov3-tiny.cfg", tiny_yolo_body, 8_858_734)


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "body", "count"), [("yolov3", yolo_body, 62_001_757), ("yolov3-spp", spp_yolo_body, 63_052_381)]
)
def test_the_large_networks_by_hand_and_from_their_cfg_give_equal_outputs(tmp_path, name, body, count):
    compare_by_hand(tmp_path, f"{name}.cfg", body, count)


def compare_by_hand(tmp_path, name, body, count):
    cfg = read_cfg(DATA / "darknet" / "cfg" / name)
    random_weights(tmp_path / "a.weights", cfg)
    ours, theirs = build_network(cfg), body(keras.Input((None, None, 3)), 3, 80)
    assert ours.count_params() == theirs.count_params() == count
    for model in (ours, theirs):
        load_weights(model, cfg, tmp_path / "a.weights")
    image = random_image((3, 64, 96))
    for one, other in zip(run(ours, image), run(theirs, image), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    save_weights(theirs, cfg, tmp_path / "b.weights", open_weights(tmp_path / "a.weights", cfg).header)
    assert (tmp_path / "b.weights").read_bytes() == (tmp_path / "a.weights").read_bytes()


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
    filled = load_weights(model, cfg, NANO.with_suffix(".weights"))
    assert filled.file.floats == model.count_params() == 891_070
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


@needs_data
def test_a_trained_network_goes_back_to_the_same_bytes(tmp_path):
    cfg, path = read_cfg(NANO), NANO.with_suffix(".weights")
    model = build_network(cfg)
    header = load_weights(model, cfg, path).file.header
    save_weights(model, cfg, tmp_path / "back.weights", header)
    assert (tmp_path / "back.weights").read_bytes() == path.read_bytes()


@needs_data
def test_a_backbone_alone_fills_its_layers(tmp_path):
    cfg = read_cfg(NANO)
    model = build_network(cfg)
    filled = load_weights(model, cfg, NANO.with_name("MobileNetV2-Nano.57"))
    assert (len(filled.filled), len(filled.missing)) == (48, 11)
    save_weights(model, cfg, tmp_path / "back.57", filled.file.header, upto=57)
    assert (tmp_path / "back.57").read_bytes() == NANO.with_name("MobileNetV2-Nano.57").read_bytes()
