"""From the options that were given to the settings of a run: recipes of a cfg and of the embedded set fill the rest."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from yolo3.input.settings import Augmentation
from yolo3.models.yolov3.loss_options import LossOptions
from yolo3.training.settings import PATHS, TrainConfig

RECIPES = ("default", "darknet")

# What fits the embedded set (256 x 256 pixels) and a first run that ends soon on two cores. A few passes over so many
# rendered images need little variation, and mosaic would cut shapes: a cut circle is no circle.
_SHORT = {"mosaic": 0.0, "jitter": 0.1, "zoom": (0.9, 1.1), "hue": 0.05}
_SHORT_FULL = {**_SHORT, "input_size": (128, 128), "epochs": 7, "evaluate_every": 4, "ema": 0.0}
# A cell of YOLOv1 shares no weights with the others: it has to see many objects of its own, moved about by mosaics.
_LONG_YOLOV1 = {
    "input_size": (256, 256),
    "epochs": 80,
    "evaluate_every": 8,
    "batch_size": 16,
    "learning_rate": 2e-4,
    "hue": 0.05,
    "freeze_epochs": 0,
    "model_options": (("grid_size", 4),),
}
EMBEDDED_CFG = {**_SHORT, "epochs": 12, "evaluate_every": 3}
EMBEDDED = {
    "yolov3": _SHORT_FULL,
    "yolov3-spp": _SHORT_FULL,
    "yolov3-tiny": {**_SHORT, "input_size": (192, 192), "epochs": 12, "evaluate_every": 3},
    "yolov1": _LONG_YOLOV1,
    "yolov1-tiny": _LONG_YOLOV1,
    "retinanet": {
        **_SHORT_FULL,
        "epochs": 12,
        "evaluate_every": 3,
        "model_options": (("depth", 2), ("width", 128), ("anchor_scale", 2.0)),
    },
    "rpn": {**_SHORT_FULL, "epochs": 8, "model_options": (("scales", (1.0, 1.5, 2.5, 4.0)),)},
}


def config_from(options: Mapping[str, Any]) -> TrainConfig:
    """Return the settings of a run for the options that were given; what is given overrides every recipe.

    Args:
        options: Values by setting, without those that were not given, and "recipe". Paths may be relative.

    Returns:
        The settings, with absolute paths, so that the run can be resumed from any folder.

    Raises:
        ValueError: For a recipe without a cfg, and as `TrainConfig` does.
    """
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    given |= {name: os.path.abspath(given[name]) for name in PATHS if name in given}
    recipe = given.pop("recipe", RECIPES[0])

    if "cfg" in given:
        settings = _cfg_recipe(given["cfg"], recipe)
        if "data" not in given and recipe == "default":
            settings |= EMBEDDED_CFG
    elif recipe != "default":
        raise ValueError(f"--recipe {recipe}: expected --cfg FILE beside it, which says the recipe")
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
    from yolo3.models.yolov3.anchors import read_anchors

    model = given.get("model")
    if model is None:
        model = "yolov3-tiny" if len(read_anchors(given["anchors"])) == 6 else "yolov3"
    return dict(EMBEDDED.get(model, EMBEDDED["yolov3-tiny"]))
