"""The page on Python: its code runs, one block after another."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


@pytest.mark.slow
def test_the_code_of_the_page_runs(slim_tiny, eagerly, shapes_set, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("DATA").symlink_to(shapes_set)
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S):
        exec(block, names)
    assert names["result"].weights.is_file() and Path("found.png").is_file()
    assert names["figures"].AP50 == pytest.approx(names["result"].AP50, abs=1e-3)
