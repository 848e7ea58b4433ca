"""The page on tuning: its search runs, and a trial that is behind is ended."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "tuning.md"


@pytest.mark.slow
def test_the_search_of_the_page_runs(slim_tiny, eagerly, shapes_set, tmp_path, monkeypatch):
    optuna = pytest.importorskip("optuna", reason="needs Optuna: pip install 'yolo3[tune]'")
    monkeypatch.chdir(tmp_path)
    options = {"input_size": (64, 64), "batch_size": 8, "pretrained": "none", "verbose": False}
    names = {"DATA": shapes_set, "EPOCHS": 2, "TRIALS": 3, "OPTIONS": options}
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    exec(code, names)

    states = [trial.state.name for trial in names["study"].trials]
    assert len(states) == 3 and set(states) <= {"COMPLETE", "PRUNED"} and "COMPLETE" in states
    best = names["study"].best_trial
    assert best.value == max(trial.value for trial in names["study"].trials if trial.state.name == "COMPLETE")
    again = optuna.load_study(study_name="yolo3", storage="sqlite:///study.db")
    assert len(again.trials) == 3 and Path(f"runs/trial-{best.number}/best.h5").is_file()
