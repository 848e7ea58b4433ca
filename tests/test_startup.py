"""What is imported when a command starts Keras, and what stays importable."""

import subprocess
import sys

import pytest

from yolo3 import startup

PROGRAM = """
import sys
from yolo3.cli.main import main
status = main(sys.argv[1:])
print(status, sorted({"matplotlib", "pandas", "jax"} & set(sys.modules)), "keras" in sys.modules)
import matplotlib
"""


@pytest.mark.slow
def test_detection_imports_none_of_what_keras_uses_only_where_it_is_installed(weights, folder):
    words = ["detect", "--weights", weights, "red.png", "--output", "drawn"]
    found = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "0 [] True"


@pytest.mark.slow
def test_a_run_begins_before_what_draws_charts_is_imported():
    program = """
import sys
from yolo3 import startup
startup.leave_out_optional()
startup.start_tensorflow()
import yolo3.training.loop
print(sorted({"matplotlib", "pandas", "jinja2"} & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_packages_are_hidden_from_commands_alone_and_only_within_the_block(monkeypatch):
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    monkeypatch.setattr(startup, "_process_is_a_command", False)
    with startup._hidden("wave"):
        import wave  # noqa: F401

    startup.leave_out_optional()
    with startup._hidden("wave"):
        import wave  # noqa: F401 (imported before: not hidden)

    del sys.modules["wave"]
    with startup._hidden("wave"), pytest.raises(ModuleNotFoundError):
        import wave  # noqa: F401
    import wave  # noqa: F401
