"""What `devices` may be, and the parts of a batch that several devices get; with TensorFlow: test_replicas.py."""

import dataclasses

import pytest

from yolo3.training.devices import build_strategy, check_devices


@pytest.mark.parametrize("devices", ["auto", "cpu", "cpu:2", "1", "8", "0,1,3", "3,1"])
def test_what_devices_may_be(devices):
    assert check_devices(devices) == devices


@pytest.mark.parametrize("devices", ["", "0", "-1", "gpu", "cpu:0", "cpu:x", "0,0", "1,", "1.5", "0,a"])
def test_anything_else_is_one_line(devices, settings):
    with pytest.raises(ValueError, match="expected auto, cpu, a number of GPUs, or the numbers of GPUs such as 0,1,3"):
        check_devices(devices)
    with pytest.raises(ValueError, match="^devices: expected auto"):
        dataclasses.replace(settings, devices=devices)


def test_gpus_that_there_are_not_are_named():
    with pytest.raises(ValueError, match="devices: expected GPUs of this machine, which has .*, got 0,900"):
        build_strategy("0,900")


def test_one_device_keeps_the_default_strategy():
    assert build_strategy(None).num_replicas_in_sync == 1
