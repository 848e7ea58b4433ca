"""Turn options into the settings of a run; the recipe of a cfg or of the embedded set adds the rest."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from yolo3.input.settings import Augmentation
from yolo3.models.registry import DEFAULT_MODEL, EMBEDDED, default_model_for_anchors, find_model
from yolo3.models.yolov3.anchors import read_anchors
from yolo3.models.yolov3.loss_options import LossOptions
from yolo3.training.settings import PATHS, TrainConfig

RECIPES = ("default", "darknet")


def config_from(options: Mapping[str, Any]) -> TrainConfig:
    """Return the settings of a run for the options that were given; what is given overrides every recipe.

    Args:
        options: Values by setting, without those that were not given, and "recipe". Paths may be relative.

    Returns:
        The settings, with absolute paths, so that the run can be resumed from any folder.

    Raises:
        ValueError: For a recipe without a cfg, and as `TrainConfig` does.
    """
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
    }
    given |= {name: os.path.abspath(given[name]) for name in PATHS if name in given}
    recipe = given.pop("recipe", RECIPES[0])

    if "cfg" in given:
        settings = _cfg_recipe(given["cfg"], recipe)
        if "data" not in given and recipe == "default":
            settings |= EMBEDDED
    elif recipe != "default":
        raise ValueError(f"--recipe {recipe}: expected --cfg FILE with it, which holds the recipe")
    else:
        settings = {} if "data" in given else _embedded_recipe(given)
    settings |= given

    # what belongs to a record within the settings goes into it
    for name, record in {"augment": Augmentation, "loss": LossOptions}.items():
        fields = [field.name for field in dataclasses.fields(record) if field.name in settings]
        settings[name] = record(**{field: settings.pop(field) for field in fields})
    return TrainConfig(**settings)


def _cfg_recipe(path: str, recipe: str) -> dict[str, Any]:
    from yolo3.darknet.cfg import read_cfg
    from yolo3.darknet.recipe import recipe_of, settings_of

    cfg = read_cfg(path)
    return settings_of(cfg) if recipe == "default" else settings_of(cfg) | recipe_of(cfg) | {"epochs": 0}


def _embedded_recipe(given: Mapping[str, Any]) -> dict[str, Any]:
    if "model" in given:
        return dict(find_model(given["model"]).embedded)
    if "anchors" not in given:
        return dict(find_model(DEFAULT_MODEL).embedded)
    entry = default_model_for_anchors(len(read_anchors(given["anchors"])))
    return dict((entry or find_model("yolov3")).embedded)
