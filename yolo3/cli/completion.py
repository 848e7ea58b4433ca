"""Completion of commands and options in a shell, by shtab."""

import argparse
import importlib

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
    commands = parser.add_subparsers()
    for name, (module_name, purpose) in COMMANDS.items():
        module = importlib.import_module(module_name)
        if hasattr(module, "COMMANDS"):  # a command of commands: data stats, data split, ...
            inner = commands.add_parser(name, help=purpose).add_subparsers()
            for inner_name, (inner_module, inner_purpose) in module.COMMANDS.items():
                own = importlib.import_module(inner_module).build_parser()
                inner.add_parser(
                    inner_name, parents=[own], add_help=False, help=inner_purpose, conflict_handler="resolve"
                )
            continue
        own = module.build_parser()
        command = commands.add_parser(name, parents=[own], add_help=False, help=purpose, conflict_handler="resolve")
        for action in command._actions:  # shtab's own way: https://docs.iterative.ai/shtab/use/
            if action.metavar in FILES | FOLDERS:
                action.complete = shtab.FILE if action.metavar in FILES else shtab.DIRECTORY  # type: ignore[attr-defined]
    return shtab.complete(parser, shell=shell)
