"""The examples of docs/keras.md run as they are, one after the other."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.detectors.cases import batch

TEXT = (Path(__file__).parents[1] / "docs" / "keras.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_examples_of_the_page_run(slim_tiny, eagerly, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = batch(4)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return data

    names = {"train": Batches(), "validation": data, "images": data[0], "EPOCHS": 1}
    for example in EXAMPLES:
        exec(compile(example, "<docs/keras.md>", "exec"), names)

    plain, again = names["plain"](data[0]), names["again"](data[0])
    np.testing.assert_allclose(plain[0], again[0], atol=1e-5)
    assert {"loss", "val_AP", "val_AP50"} <= names["history"].history.keys()
    assert len(names["outputs"]) == 2 and names["found"]["labels"].shape == (4, 300)
    assert not names["detector"].get_layer("conv_0").trainable
