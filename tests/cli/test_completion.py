"""Completion in a shell."""

import importlib
import shutil
import subprocess
import sys

import pytest

from yolo3.cli.main import COMMANDS, WAY, build_parser, main


def bash_completes(script, words):
    """Words that bash offers for the last of the words, with a completion script."""
    line = " ".join(f"'{word}'" for word in words)
    ask = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _shtab_yolo3; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_options_and_choices(capsys):
    pytest.importorskip("shtab")
    assert main(["--print-completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert bash_completes(script, ["yolo3", "tra"]) == ["train"]
    assert bash_completes(script, ["yolo3", "train", "--batch"]) == ["--batch-size"]
    assert bash_completes(script, ["yolo3", "train", "--optimizer", "a"]) == ["adam"]
    assert set(bash_completes(script, ["yolo3", "data", "s"])) == {"stats", "split"}
    assert bash_completes(script, ["yolo3", "data", "stats", "--she"])[0] == "--sheet"
    assert bash_completes(script, ["yolo3", "data", "st"]) == ["stats"]
    assert bash_completes(script, ["yolo3", "data", "split", "--see"]) == ["--seed"]
    assert set(COMMANDS) <= set(bash_completes(script, ["yolo3", ""]))


def test_completion_without_shtab_is_one_line_that_names_its_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["--print-completion", "zsh"]) == 1
    expected = "expected the package shtab, found none; pip install 'yolo3[completion]'"
    assert capsys.readouterr().err == f"yolo3: --print-completion: {expected}\n"


def test_completion_for_another_shell_is_a_wrong_option(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--print-completion", "cmd"])
    assert end.value.code == 2 and "invalid choice: 'cmd'" in capsys.readouterr().err


def test_the_help_shows_the_way_to_a_detector_in_use_and_each_of_its_commands_parses():
    text = build_parser().format_help()
    assert "from nothing to a detector in use:" in text and len(WAY) <= 10
    for command, purpose in WAY:
        assert any(command in line and purpose in line and len(line) <= 120 for line in text.splitlines())
        _, name, *words = command.split()
        module = importlib.import_module(COMMANDS[name][0])
        if own := getattr(module, "COMMANDS", None):
            module = importlib.import_module(own[words.pop(0)][0])
        module.build_parser().parse_args(words)
