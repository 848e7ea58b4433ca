"""Pixels of every depth become 8 bits, and it is said once how."""

import logging

import numpy as np
import pytest

from yolo3.datasets import pixel_range
from yolo3.datasets.pixel_range import to_8_bit


@pytest.fixture(autouse=True)
def nothing_told():
    pixel_range._told.cache_clear()


@pytest.mark.parametrize(
    "brightest, expected",
    [
        (255, 255),  # 8-bit data in a 16-bit file
        (1023, 255),
        (4095, 255),
        (4000, 250),  # 4000 / 16
        (16383, 255),
        (16384, 64),  # 16384 / 256: 16-bit data
        (65535, 255),
    ],
)
def test_the_brightest_value_decides_the_depth(brightest, expected):
    pixels = np.array([[0, brightest]], np.uint16)
    np.testing.assert_array_equal(to_8_bit(pixels), [[0, expected]])


def test_frames_whose_brightest_values_differ_a_little_are_read_alike():
    read = [to_8_bit(np.array([[1000, brightest]], np.uint16))[0, 0] for brightest in (2000, 2500, 3000, 4095)]
    assert read == [62] * 4  # 1000 / 16


def test_numbers_with_a_point_are_shares_or_values():
    np.testing.assert_array_equal(to_8_bit(np.array([0, 0.5, 1], np.float32)), [0, 128, 255])
    np.testing.assert_array_equal(to_8_bit(np.array([0, 100, 255], np.float64)), [0, 100, 255])
    np.testing.assert_array_equal(to_8_bit(np.array([0, 32767.5, 65535], np.float32)), [0, 128, 255])


def test_what_is_below_zero_or_no_number_is_black():
    np.testing.assert_array_equal(to_8_bit(np.array([np.nan, -np.inf, -3, np.inf, 1], np.float32)), [0, 0, 0, 0, 255])
    np.testing.assert_array_equal(to_8_bit(np.array([-5, 200, 4095], np.int16)), [0, 12, 255])
    assert to_8_bit(np.zeros((2, 0), np.uint16)).shape == (2, 0)


def test_eight_bits_stay_and_bits_are_black_and_white():
    pixels = np.array([1, 2], np.uint8)
    assert to_8_bit(pixels) is pixels
    np.testing.assert_array_equal(to_8_bit(np.array([True, False])), [255, 0])


def test_how_they_are_read_is_told_once(caplog):
    with caplog.at_level(logging.WARNING):
        for name in ("a.png", "b.png"):
            to_8_bit(np.array([4000], np.uint16), name)
        to_8_bit(np.array([60000], np.uint16), "c.png")
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == (
        "a.png: uint16 pixels up to 4000, read as 12-bit values; the brightest value of an image decides"
    )
    assert [line[:5] for line in lines] == ["a.png", "c.png"]
