"""Turn options into the settings of a run; the recipe of a cfg or of the embedded set adds the rest."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from yolo3.input.settings import Augmentation
from yolo3.models.published import PUBLISHED, find_network
from yolo3.models.registry import DEFAULT_MODEL, EMBEDDED, ModelEntry, default_model_for_anchors, find_model
from yolo3.models.yolov3.loss_options import LossOptions
from yolo3.training.settings import AUTO, TrainConfig, paths_in

RECIPES = ("default", "darknet")
RANDOM_WEIGHTS = "none"
"""Word of `--pretrained` for random weights."""


def config_from(options: Mapping[str, Any]) -> TrainConfig:
    """Return the settings of a run for the options that were given; what is given overrides every recipe.

    Args:
        options: Values by setting, without those that were not given, and "recipe" and "pretrained". Paths may be
            relative.

    Returns:
        The settings, with absolute paths, so that the run can be resumed from any folder.

    Raises:
        ValueError: For a recipe without a cfg, for pretrained weights that do not go with another option, or that are
            not at hand and cannot be fetched; and as `TrainConfig` does.
    """
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
    }
    given |= {name: os.path.abspath(path) for name, path in paths_in(given).items()}
    recipe = given.pop("recipe", RECIPES[0])
    given = _with_pretrained(given, recipe)

    if "cfg" in given:
        settings = _cfg_recipe(given["cfg"], recipe)
        if "data" not in given and recipe == "default":
            settings |= EMBEDDED
    elif recipe != "default":
        raise ValueError(f"--recipe {recipe}: expected --cfg FILE with it, which holds the recipe")
    else:
        settings = {} if "data" in given else _embedded_recipe(given)
    fits = given.get("batch_size") == AUTO
    settings |= {name: value for name, value in given.items() if not (fits and name == "batch_size")}
    settings |= {"fit_batch": True} if fits else {}

    # what belongs to a record within the settings goes into it
    for name, record in {"augment": Augmentation, "loss": LossOptions}.items():
        fields = [field.name for field in dataclasses.fields(record) if field.name in settings]
        settings[name] = record(**{field: settings.pop(field) for field in fields})
    return TrainConfig(**settings)


def recipe_notes(options: Mapping[str, Any]) -> list[str]:
    """Return lines for the user on what the recipe of a cfg says and a run with these options does not do."""
    if options.get("recipe", RECIPES[0]) == RECIPES[0] or "cfg" not in options:
        return []
    from yolo3.darknet.cfg import read_cfg
    from yolo3.darknet.recipe import not_applied

    left_out = not_applied(read_cfg(options["cfg"]))
    return [f"Not applied of the recipe: {'; '.join(left_out)}."] if left_out else []


def _with_pretrained(given: dict[str, Any], recipe: str) -> dict[str, Any]:
    """Return the settings with what belongs to the published network that a run starts from, if there is one."""
    settings = dict(given)
    name = settings.pop("pretrained", None)
    if name is None:
        name = _at_hand(settings)
    elif name == RANDOM_WEIGHTS:
        name = None
    else:
        if "weights" in settings:
            raise ValueError(f"--pretrained {name}: expected no --weights with it, got {settings['weights']}")
        model = PUBLISHED[name].model
        if settings.get("model", model) != model:
            raise ValueError(f"--pretrained {name}: expected no --model with it, got {settings['model']}")
    if name is None:
        return settings

    files = find_network(name, fetch=True)
    assert files is not None, "it is fetched, or an error says why not"
    settings.pop("model", None)  # the cfg is of the same network
    own: dict[str, Any] = {"cfg": files.cfg}
    rate = PUBLISHED[name].learning_rate
    if rate and recipe == RECIPES[0] and settings.get("optimizer", TrainConfig.optimizer) == TrainConfig.optimizer:
        own["learning_rate"] = rate
    return {**own, **settings, "weights": files.weights}


def _at_hand(settings: Mapping[str, Any]) -> str | None:
    """Return the published network, at hand, that would be trained on data from random weights, by its name."""
    others = ("weights", "cfg", "model_options", "anchor_mask")
    if "data" not in settings or any(name in settings for name in others):
        return None
    found = {network.model: name for name, network in reversed([*PUBLISHED.items()]) if find_network(name)}
    if not found:
        return None
    model = settings.get("model", DEFAULT_MODEL)
    if "model" not in settings and "anchors" in paths_in(settings):
        entry = _model_of_anchors(settings["anchors"])
        model = entry.name if entry else None
    return found.get(model) if model else None


def _model_of_anchors(path: str) -> ModelEntry | None:
    """Return the network that a file of anchors is for."""
    from yolo3.models.yolov3.anchors import read_anchors  # needs NumPy

    return default_model_for_anchors(len(read_anchors(path)))


def _cfg_recipe(path: str, recipe: str) -> dict[str, Any]:
    from yolo3.darknet.cfg import read_cfg
    from yolo3.darknet.layers import check_channels
    from yolo3.darknet.recipe import recipe_of, settings_of

    cfg = read_cfg(path)
    check_channels(cfg)
    return settings_of(cfg) if recipe == "default" else settings_of(cfg) | recipe_of(cfg) | {"epochs": 0}


def _embedded_recipe(given: Mapping[str, Any]) -> dict[str, Any]:
    if "model" in given:
        return dict(find_model(given["model"]).embedded)
    if "anchors" not in paths_in(given):
        return dict(find_model(DEFAULT_MODEL).embedded)
    entry = _model_of_anchors(given["anchors"])
    return dict((entry or find_model("yolov3")).embedded)
