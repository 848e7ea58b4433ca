"""How a command starts and ends."""

import sys

from yolo3.cli.running import in_one_line, run_command


def test_errors_become_one_line():
    assert in_one_line(FileNotFoundError(2, "No such file or directory", "a.h5")) == "a.h5: No such file or directory"
    assert in_one_line(ValueError("a\n  b")) == "a b"
    assert in_one_line(OSError()) == "OSError"


def test_an_error_carries_no_terminal_control_codes():
    error = ValueError("Exception encountered when calling Concatenate.call().\n\n\x1b[1mShapes do not fit\x1b[0m\x07")
    assert in_one_line(error) == "Exception encountered when calling Concatenate.call(). Shapes do not fit"


def test_a_user_error_ends_with_status_1_and_ctrl_c_with_130(capsys):
    def fail(error):
        raise error

    assert run_command("yolo3 test", lambda: 7) == 7
    assert run_command("yolo3 test", lambda: fail(ValueError("wrong"))) == 1
    assert run_command("yolo3 test", lambda: fail(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "yolo3 test: wrong\nyolo3 test: interrupted\n"


def test_names_of_files_reach_the_terminal_escaped(capsys):
    hostile = "a\x1b]0;title\x07\x1b[2J\x9b31m\udcff\r\n\tb\x1b[A"
    assert run_command("yolo3 test", lambda: print(hostile) or print(hostile, file=sys.stderr) or 0) == 0
    out, err = capsys.readouterr()
    assert out == err == "a\\x1b]0;title\\x07\\x1b[2J\\x9b31m\\udcff\r\n\tb\x1b[A\n"


def test_the_streams_are_as_before_after_a_command(capsys):
    before = sys.stdout, sys.stderr
    run_command("yolo3 test", lambda: 0)
    assert (sys.stdout, sys.stderr) == before
