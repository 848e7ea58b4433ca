"""YOLOv1 networks of Darknet's cfg files: what [detection] says, other classes, weights, what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.yolov1.cases import SMALL_CFG
from tests.models.yolov1.test_networks import CFGS, needs_cfgs
from yolo3.darknet.cfg import parse_cfg, read_cfg
from yolo3.darknet.keras_weights import load_weights, save_weights
from yolo3.models.yolov1.architecture import YoloV1
from yolo3.models.yolov1.networks import DESIGNS
from yolo3.ops.nms import non_max_suppression


def tiny_cfg(size=64, side=3, classes=2, boxes=2):
    """Return the slim tiny design as a cfg."""
    text = f"[net]\nheight={size}\nwidth={size}\nchannels=3\n"
    for filters, *kernel in DESIGNS["yolov1-tiny"].body:
        if filters:
            text += f"[convolutional]\nfilters={filters}\nsize={kernel[0]}\n"
            text += "batch_normalize=1\npad=1\nactivation=leaky\n"
        else:
            text += "[maxpool]\nsize=2\nstride=2\n"
    text += f"[connected]\noutput={side**2 * (classes + 5 * boxes)}\nactivation=linear\n"
    return parse_cfg(text + f"[detection]\nclasses={classes}\ncoords=4\nside={side}\nnum={boxes}\nsqrt=1\n")


def test_darknet_weights_fill_the_tiny_network(slim, tmp_path):
    cfg = tiny_cfg(128)
    theirs = YoloV1.from_cfg(cfg).build_network((128, 128, 3))
    rng = np.random.default_rng(0)
    theirs.set_weights([rng.uniform(0.1, 0.5, weight.shape) for weight in theirs.get_weights()])
    save_weights(theirs, cfg, tmp_path / "tiny.weights")
    own = YoloV1("yolov1-tiny", 2, 3, layout="darknet").build_network((128, 128, 3))
    loaded = load_weights(own, cfg, tmp_path / "tiny.weights")
    assert (len(loaded.loaded), loaded.missing) == (9, ())
    image = rng.uniform(0, 1, (1, 128, 128, 3)).astype(np.float32)
    np.testing.assert_allclose(own(image), theirs(image), rtol=1e-5)


@needs_cfgs
def test_an_architecture_takes_the_options_of_the_detection_section():
    full, tiny = (YoloV1.from_cfg(read_cfg(CFGS / f"{name}.cfg")) for name in ("yolov1", "yolov1-tiny"))
    scales = (5.0, 1.0, 0.5, 1.0)
    for architecture, boxes in ((full, 3), (tiny, 2)):
        assert (architecture.num_classes, architecture.grid_size, architecture.num_boxes) == (20, 7, boxes)
        assert (architecture.layout, architecture.activation, architecture.size_form, architecture.rescore) == (
            "darknet", "linear", "root", True,
        )  # fmt: skip
        assert (
            architecture.coord_scale,
            architecture.object_scale,
            architecture.noobject_scale,
            architecture.class_scale,
        ) == scales
        assert (architecture.stride, architecture.fixed_size, architecture.name) == (64, True, "cfg")
    assert len(full.backbone_layers(None)) == 48 and len(tiny.backbone_layers(None)) == 16


def test_options_missing_from_a_detection_section_have_darknets_defaults():
    text = SMALL_CFG[: SMALL_CFG.index("sqrt=1")]
    architecture = YoloV1.from_cfg(parse_cfg(text))
    assert (architecture.size_form, architecture.rescore) == ("size", False)
    assert (
        architecture.coord_scale,
        architecture.object_scale,
        architecture.noobject_scale,
        architecture.class_scale,
    ) == (1, 1, 1, 1)


@pytest.mark.slow
def test_a_network_from_a_cfg_trains_and_detects():
    keras.utils.set_random_seed(1)
    architecture = YoloV1.from_cfg(parse_cfg(SMALL_CFG))
    network = architecture.build_network((None, None, 3))
    assert architecture.stride == 16  # the convolution's 2 times the pooling's 8, to the map that [local] reads
    images = np.random.default_rng(0).uniform(0, 1, (2, 128, 128, 3)).astype(np.float32)
    boxes = np.float32([[[0.3, 0.3, 0.4, 0.3, 0]], [[0.7, 0.6, 0.2, 0.5, 1]]])
    optimizer, losses = keras.optimizers.Adam(3e-3), []

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            outputs = network(images, training=False)  # two images are no statistics
            terms = architecture.loss_terms(outputs, architecture.build_targets(boxes, (128, 128)), (128, 128))
            loss = sum(terms[name] for name in architecture.terms)
        variables = [variable.value for variable in network.trainable_variables]
        return loss, tape.gradient(loss, variables)

    for _ in range(60):
        loss, gradients = step()
        optimizer.apply(gradients, network.trainable_variables)
        losses.append(float(loss))
    assert losses[-1] < 0.05 * losses[0]
    found, _, class_ids, num = non_max_suppression(*architecture.decode(network(images), (128, 128)), 0.3, 0.45)
    assert np.array(num).tolist() == [1, 1] and np.array(class_ids)[:, 0].tolist() == [0, 1]
    np.testing.assert_allclose(np.array(found)[0, 0] / 128, [0.1, 0.15, 0.5, 0.45], atol=0.08)


def test_a_cfg_is_fitted_to_other_classes():
    architecture = YoloV1.from_cfg(parse_cfg(SMALL_CFG), num_classes=7)
    assert architecture.num_classes == 7
    assert architecture.build_network((None, None, 3)).output_shape == (None, 2 * 2 * (7 + 10))
    assert YoloV1.from_cfg(parse_cfg(SMALL_CFG), num_classes=2).cfg.text == SMALL_CFG  # the space in it too


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rescore=1", "softmax=1", "cfg:32: expected softmax=0, got 1"),
        ("rescore=1", "forced=1", "expected forced=0"),
        ("rescore=1", "random=1", "expected random=0"),
        ("coords=4\n", "", "expected coords=4, got 1"),
        ("[connected]\noutput= 48", "[convolutional]\nsize=1\nfilters=48", r"expected \[connected\] and \[detection\]"),
        ("[detection]", "[dropout]\n[detection]", r"expected \[connected\] and \[detection\]"),
    ],
)
def test_an_unsupported_detection_section_is_refused(old, new, message):
    with pytest.raises(ValueError, match=message):
        YoloV1.from_cfg(parse_cfg(SMALL_CFG.replace(old, new)))
