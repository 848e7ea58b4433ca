"""The short form of the campaign: a minute of damaged inputs, the same in every run but for what Hypothesis draws."""

import time
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.campaign import damaged_input, try_input
from tests.fuzz.damage import damage
from tests.fuzz.targets import build_targets
from yolo3.datasets.cache import VARIABLE

pytestmark = pytest.mark.slow
SECONDS = 0.8  # for each reader and test


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "off")
        yield build_targets(tmp_path_factory.mktemp("fuzz"))


def assert_handled(target, content):
    outcome, _ = try_input(target, content)
    assert outcome in ("read", "refused"), f"{target.name}: {outcome}; {content[:2000]!r}"


def test_whole_files_are_read(targets):
    for target in targets:
        assert try_input(target, target.content)[0] == "read", target.name


def test_seeded_damage_is_read_or_refused_in_one_line(targets):
    for target in targets:
        end = time.monotonic() + SECONDS
        for number in range(10_000):
            assert_handled(target, damaged_input(target, 0, number))
            if time.monotonic() > end:
                break


def test_damage_that_hypothesis_draws_is_read_or_refused_in_one_line(targets):
    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.sampled_from(targets), st.integers(0, 2**32), st.binary(max_size=40))
    def check(target, seed, extra):
        random = Random(seed)
        content = damage(target.content, random)
        at = random.randrange(len(content) + 1)
        assert_handled(target, content[:at] + extra + content[at:])

    check()
