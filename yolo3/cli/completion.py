"""Completion of commands and options in a shell, by shtab."""

import argparse
import importlib
from collections.abc import Mapping

from yolo3.cli.main import COMMANDS, build_parser

FILES, FOLDERS = {"FILE", "PATH", "INPUT"}, {"DIR", "RUN"}  # placeholders of paths in the help


def completion(shell: str) -> str:
    """Return the script that makes a shell complete `yolo3`, its commands, options, choices and paths.

    Args:
        shell: One of `yolo3.cli.main.SHELLS`.

    Raises:
        ValueError: If shtab is not installed.
    """
    try:
        import shtab
    except ImportError:
        raise ValueError(
            "--print-completion: expected the package shtab, found none; pip install 'yolo3[completion]'"
        ) from None

    parser = argparse.ArgumentParser(prog="yolo3", description=build_parser().description)
    _add_commands(parser, COMMANDS)
    return shtab.complete(parser, shell=shell)


def _add_commands(parser: argparse.ArgumentParser, commands: Mapping[str, tuple[str, str]]) -> None:
    """Add commands (module, purpose) to a parser, with their own commands where a module has `COMMANDS`."""
    import shtab

    added = parser.add_subparsers()
    for name, (path, purpose) in commands.items():
        module = importlib.import_module(path)
        if own := getattr(module, "COMMANDS", None):
            _add_commands(added.add_parser(name, help=purpose), own)
            continue

        command = added.add_parser(name, parents=[module.build_parser()], add_help=False, help=purpose)
        for action in command._actions:  # the attribute that shtab reads: its documentation, "path completion"
            if action.metavar in FILES | FOLDERS:
                action.complete = shtab.FILE if action.metavar in FILES else shtab.DIRECTORY  # type: ignore[attr-defined]
