"""The course of a run: lengths, phases, evaluations, and that the schedule counts updates."""

import dataclasses

import pytest

from yolo3.training.plan import RunPlan, fit_length
from yolo3.training.settings import TrainConfig


def plan_of(num_images=100, **settings):
    return RunPlan(TrainConfig(anchors="a.txt", **settings), num_images)


def test_an_epoch_covers_every_image_and_a_batch_holds_at_most_all():
    plan = plan_of(100, batch_size=8, epochs=3)  # 12.5 batches an epoch
    assert (plan.batch_size, plan.steps_per_epoch, plan.total_steps) == (8, 13, 39)
    assert (plan_of(5, batch_size=8).batch_size, plan_of(5, batch_size=8).steps_per_epoch) == (5, 1)


def test_the_schedule_counts_updates_where_gradients_are_accumulated():
    plan = plan_of(
        32, batch_size=4, epochs=1, accumulate=2, burn_in=2, schedule="steps", rate_steps=((3, 0.1),), learning_rate=1.0
    )
    # 8 steps, 4 updates: (1/2)^4 at the first, all of the rate at the second, a tenth from the third on.
    assert plan.total_updates == 4
    assert [plan.learning_rate(step) for step in range(8)] == pytest.approx([0.0625] * 2 + [1] * 2 + [0.1] * 4)


def test_the_warm_up_is_a_twentieth_of_the_updates_unless_it_is_given():
    assert plan_of(100, batch_size=1, epochs=4, accumulate=2).burn_in == 10  # of 200 updates
    assert plan_of(100, batch_size=1, epochs=4, burn_in=0).burn_in == 0


def test_a_pretrained_backbone_is_frozen_for_a_tenth_of_the_run_unless_the_settings_say_otherwise():
    assert [plan_of(epochs=epochs).frozen_epochs(pretrained=True) for epochs in (1, 2, 50)] == [0, 1, 5]
    assert plan_of(epochs=50).frozen_epochs(pretrained=False) == 0
    assert plan_of(epochs=50, freeze_epochs=3).frozen_epochs(pretrained=False) == 3


def test_a_run_is_evaluated_about_ten_times_and_at_its_end():
    plan = plan_of(epochs=50)
    assert [epoch for epoch in range(1, 51) if plan.evaluates_after(epoch)] == list(range(5, 51, 5))
    plan = plan_of(epochs=5, evaluate_every=3)
    assert [epoch for epoch in range(1, 6) if plan.evaluates_after(epoch)] == [3, 5]


def test_a_recipe_without_epochs_gets_as_many_as_its_updates_take():
    config = TrainConfig(cfg="a.cfg", epochs=0, batch_size=4, accumulate=2, max_batches=4)
    fitted = fit_length(config, 12)  # 4 updates of 2 steps in epochs of 3
    assert fitted == dataclasses.replace(config, epochs=3, max_batches=None)


def test_a_recipe_is_rescaled_to_the_requested_epochs():
    config = TrainConfig(
        cfg="a.cfg",
        epochs=10,
        batch_size=4,
        accumulate=2,
        max_batches=1000,
        burn_in=100,
        schedule="steps",
        rate_steps=((800, 0.1), (900, 0.1)),
    )
    # 100 images: 25 steps an epoch, 250 in all, 125 updates: 800 of 1000 is 100 of 125; the warm-up a twentieth: 6.
    fitted = fit_length(config, 100)
    assert (fitted.rate_steps, fitted.burn_in) == (((100, 0.1), (112, 0.1)), 6)
    assert (fitted.epochs, fitted.max_batches) == (10, None)
    assert fit_length(fitted, 100) == fitted


def test_few_images_get_as_many_epochs_as_make_enough_updates():
    def epochs(images, **settings):
        return fit_length(TrainConfig(anchors="default", **settings), images).epochs

    assert epochs(1600) == 100  # 200 updates an epoch
    assert epochs(40) == 400  # 5 updates an epoch
    assert epochs(40, accumulate=2) == 800
    assert epochs(3) == 2000
    assert epochs(40, epochs=7) == 7
