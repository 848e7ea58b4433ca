"""Where the images of a run come from: its data, and the lists to train and to validate on."""

from __future__ import annotations

from dataclasses import dataclass

from yolo3.datasets.formats import registry as formats
from yolo3.datasets.shapes import shapes_folder
from yolo3.training.settings import TrainConfig


@dataclass(frozen=True)
class Source:
    """A data set or one of its lists.

    Attributes:
        path: A file or a folder.
        format: Name of its format; recognised by content if None.
        list_name: Name of its list; all of it if None.
    """

    path: str
    format: str | None
    list_name: str | None


def data_sources(config: TrainConfig) -> tuple[list[Source], list[str]]:
    """Return the sources of a run's images and notes for the user.

    Args:
        config: Settings.

    Returns:
        (sources, notes): the source of the training images, and that of the validation images unless they are drawn
        from the first.

    Raises:
        ValueError: If there is no data, or a list to validate on is named without one to train on.
    """
    notes = []
    path, data_format = config.data, config.format
    if path is None:
        path, data_format = shapes_folder(), "voc"
        notes.append(f"No --data given: training on the embedded data set of rendered shapes ({path}).")

    train_list, val_list = config.train_list, config.val_list
    if train_list is None and val_list is None and config.val is None:
        pair = formats.find_default_lists(path, data_format)
        if pair:
            train_list, val_list = pair
            notes.append(f"Using the lists of the data set: '{train_list}' to train, '{val_list}' to validate.")

    sources = [Source(path, data_format, train_list)]
    if config.val is not None:
        named = config.format is not None and formats.FORMATS[config.format].matches(config.val)
        sources.append(Source(config.val, config.format if named else None, config.val_list))
    elif val_list is not None and train_list is None:
        lists = ", ".join(formats.list_names(path, data_format))
        raise ValueError(f"{path}: --val-list {val_list} needs --train-list, or it would be trained on; lists: {lists}")
    elif val_list is not None:
        sources.append(Source(path, data_format, val_list))
    return sources, notes
