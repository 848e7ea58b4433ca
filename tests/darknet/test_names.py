"""Names of Keras layers."""

from tests.darknet.networks import YOLO, cfg_of
from yolo3.darknet.layers import resolve_layers
from yolo3.darknet.names import batch_norm_name, layer_name, shared_layers


def test_convolutions_have_short_names_and_each_kind_its_own_numbers():
    layers = resolve_layers(cfg_of("[convolutional]\n[connected]\n[convolutional]\n"))
    assert [layer_name(layer) for layer in layers] == ["conv_0", "connected_0", "conv_1"]
    assert [batch_norm_name(layer) for layer in layers] == ["bn_0", "connected_0_bn", "bn_1"]


def test_the_backbone_is_what_all_outputs_depend_on():
    # conv_3 makes the first output, conv_4 and conv_5 are read by the second only; conv_2 has no normalization.
    assert shared_layers(cfg_of(YOLO)) == ["conv_0", "bn_0", "conv_1", "bn_1", "conv_2"]


def test_a_single_output_leaves_out_only_the_convolution_that_makes_it():
    layers = "[convolutional]\n[convolutional]\nfilters=7\n[yolo]\nclasses=2\nnum=1\n"
    assert shared_layers(cfg_of(layers)) == ["conv_0"]
