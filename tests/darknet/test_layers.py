"""Layers of a cfg: sources, shapes, and whether their size is fixed."""

import pytest

from tests.darknet.networks import DATA, SMALL, cfg_of, needs_data
from yolo3.darknet.cfg import cfg_bytes, format_cfg, parse_cfg, read_cfg
from yolo3.darknet.layers import IMAGE, needs_fixed_size, resolve_layers


def test_sources_are_relative_or_absolute():
    layers = resolve_layers(parse_cfg(SMALL))
    assert [layer.sources for layer in layers] == [(IMAGE,), (0,), (1,), (0, 0)]
    assert [layer.out_shape for layer in layers] == [(16, 32, 16), (16, 32, 14), (16, 32, 14), (16, 32, 32)]


def test_layers_with_weights_for_each_position_need_a_fixed_size():
    assert needs_fixed_size(cfg_of("[connected]\n")) and not needs_fixed_size(parse_cfg(SMALL))


@needs_data
@pytest.mark.parametrize(
    "name", ["yolov3", "yolov3-tiny", "yolov3-spp", "yolov3-voc", "yolov1", "yolov1-tiny", "darknet53"]
)
def test_darknets_own_cfgs_are_understood(name):
    path = DATA / "darknet" / "cfg" / f"{name}.cfg"
    cfg = read_cfg(path)
    assert cfg_bytes(cfg) == path.read_bytes()
    assert format_cfg(parse_cfg(format_cfg(cfg))) == format_cfg(cfg)
    assert resolve_layers(cfg)[-1].out_shape[2] in (255, 75, 1715, 1470, 1000)
