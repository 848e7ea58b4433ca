"""Options and output shapes of sections."""

import pytest

from tests.darknet.networks import SMALL, cfg_of
from yolo3.darknet.cfg import parse_cfg
from yolo3.darknet.layers import resolve_layers


def shapes_of(layers: str, **size):
    return [layer.out_shape for layer in resolve_layers(cfg_of(layers, **size))]


def refused(layers: str, *words: str):
    with pytest.raises(ValueError) as caught:
        resolve_layers(cfg_of(layers))
    for word in ("some.cfg:", *words):
        assert word in str(caught.value)


def test_shapes_follow_darknets_formulas():
    # (in + 2*1 - 3) // 2 + 1: 9 -> 5, 8 -> 4
    assert shapes_of("[convolutional]\nfilters=4\nsize=3\nstride=2\npad=1\n", width=8, height=9) == [(5, 4, 4)]
    # padding = size // 2 = 1 with size 2: (8 + 2 - 2) // 1 + 1 = 9
    assert shapes_of("[convolutional]\nfilters=4\nsize=2\npad=1\n", width=8, height=8) == [(9, 9, 4)]
    # total padding size - 1: (7 + 1 - 2) // 2 + 1 = 4;  with none: (7 - 2) // 2 + 1 = 3
    assert shapes_of("[maxpool]\nsize=2\nstride=2\n", width=7, height=7) == [(4, 4, 3)]
    assert shapes_of("[maxpool]\nsize=2\nstride=2\npadding=0\n", width=7, height=7) == [(3, 3, 3)]
    assert shapes_of("[maxpool]\nsize=2\nstride=1\n", width=13, height=13) == [(13, 13, 3)]
    assert shapes_of("[upsample]\n", width=4, height=2) == [(4, 8, 3)]
    assert shapes_of("[convolutional]\nfilters=8\n[reorg]\nstride=2\n", width=4, height=4)[1] == (2, 2, 32)
    assert shapes_of("[avgpool]\n[connected]\noutput=7\n") == [(1, 1, 3), (1, 1, 7)]
    assert shapes_of("[local]\nfilters=2\nsize=3\nstride=2\npad=1\n", width=8, height=8) == [(4, 4, 2)]


def test_a_route_takes_one_group_of_each_layer():
    layers = "[convolutional]\nfilters=8\n[route]\nlayers=-1\ngroups=2\ngroup_id=1\n[route]\nlayers=-1,0\n"
    assert [shape[2] for shape in shapes_of(layers)] == [8, 4, 12]


def test_filters_that_do_not_fit_the_classes_are_refused():
    with pytest.raises(ValueError, match=r"2 anchors \* \(5 \+ 2 classes\) = 14 filters before \[yolo\], got 21"):
        resolve_layers(parse_cfg(SMALL.replace("filters=14", "filters=21")))


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ("[convolutional]\n\n[lstm]\n", ("some.cfg:7: [lstm] is not supported",)),
        ("[convolutional]\n[region]\n", ("some.cfg:6: [region] is not supported",)),
        ("[convolutional]\nactivation=relu6\n", ("some.cfg:6", "in [convolutional], got 'relu6'")),
        ("[convolutional]\nxnor=1\n", ("some.cfg:6", "xnor=1")),
        ("[convolutional]\ngroups=2\n", ("3 channels",)),
        ("[convolutional]\nfilters=0\n", ("filters", "got 0")),
        ("[convolutional]\nsize=3\ndilation=2\n", ("dilation",)),
        ("[convolutional]\nsize=40\n", ("large enough", "32x32x3")),
        ("[convolutional]\ndontload=1\n", ("dontload",)),
        ("[maxpool]\nsize=2\npadding=2\n", ("0 to size - 1",)),
        ("[route]\nlayers=-1\n", ("an earlier layer",)),
        ("[convolutional]\n[route]\nlayers=5\n", ("got 5",)),
        ("[convolutional]\n[maxpool]\nstride=2\n[route]\nlayers=0,1\n", ("one size", "32x32x1, 16x16x1")),
        ("[convolutional]\n[maxpool]\nstride=3\n[shortcut]\nfrom=0\n", ("by a whole factor",)),
        ("[maxpool]\nstride=2\n[convolutional]\n[upsample]\n[shortcut]\nfrom=0\n", ("by a whole factor",)),
        ("[convolutional]\n[shortcut]\nfrom=-1\nweights_type=per_pixel\n", ("weights_type", "'per_pixel'")),
        ("[convolutional]\n[convolutional]\nfilters=2\n[shortcut]\nfrom=0\nalpha=.5\n", ("alpha=1",)),
        ("[convolutional]\n[route]\nlayers=0\ngroup_id=1\n", ("group_id",)),
        ("[convolutional]\n[scale_channels]\nfrom=-1\n", ("1x1x1",)),
        ("[local]\nsize=5\npad=1\n", ("size=5",)),
        ("[dropout]\nprobability=1\n", ("probability",)),
        ("[reorg]\nstride=2\n", ("stride",)),
        ("[crop]\ncrop_height=64\ncrop_width=8\n", ("64x8",)),
        ("[softmax]\n", ("vector",)),
        (
            "[connected]\noutput=9\n[detection]\nside=1\nclasses=2\nnum=1\ncoords=4\n",
            ("= 7 numbers", "got 9"),
        ),
        ("[convolutional]\nfilters=7\n[yolo]\nclasses=2\nnum=1\nmask=1\n", ("mask",)),
    ],
)
def test_unsupported_options_are_refused_by_name_and_line(layers, words):
    refused(layers, *words)


def test_a_neutral_value_of_an_option_is_accepted():
    assert shapes_of("[convolutional]\nxnor=0\nfilters=2\n[shortcut]\nfrom=-1\nweights_type=none\n")[-1] == (
        32,
        32,
        2,
    )
