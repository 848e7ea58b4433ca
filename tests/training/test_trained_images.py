"""Which images a network was trained on: digests in its file."""

import hashlib
import json

import pytest

from yolo3.training import trained_images as module
from yolo3.training.trained_images import count_trained, trained_images


def digests(numbers):
    return [hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest() for number in numbers]


def test_images_that_were_trained_on_are_counted_by_their_bytes():
    kept = json.loads(json.dumps(trained_images(digests(range(180)))))  # as a file holds it
    assert kept["number"] == 180
    assert count_trained(kept, digests(range(170, 200))) == 10
    assert count_trained(kept, digests(range(180, 200))) == 0
    assert len(kept["digests"]) == 180 * 8  # 6 bytes are 8 characters of base64


def test_a_file_without_digests_does_not_tell():
    assert count_trained(None, digests([1])) is None
    for damaged in ({"digests": "!"}, {"digests": "YQ=="}, {"digests": ""}, {"digests": 3}, {}, "x", [1]):
        assert count_trained(damaged, digests([1])) is None


def test_files_do_not_carry_the_digests_of_millions_of_images_but_their_number(monkeypatch):
    monkeypatch.setattr(module, "_MOST", 10)
    kept = trained_images(digests(range(10)))
    assert len(kept["digests"]) == 80 and module.number_unnamed(kept) == 0
    assert trained_images(digests(range(11))) == {"number": 11}
    assert count_trained({"number": 11}, digests([1])) is None and module.number_unnamed({"number": 11}) == 11
    assert trained_images([]) is None
    assert [module.number_unnamed(damaged) for damaged in (None, {}, {"number": "x"}, [1])] == [0] * 4


@pytest.mark.parametrize("repeated", [1, 3])
def test_an_image_that_is_listed_several_times_is_kept_once(repeated):
    assert trained_images(digests([1, 2]) * repeated)["number"] == 2
