"""The option of commands that write every finding about the data to a file."""

import argparse


def add_findings_option(parser: argparse.ArgumentParser) -> None:
    """Add the option of commands that have no folder to keep all findings in."""
    parser.add_argument(
        "--findings", metavar="FILE", help="write every finding about the data to this file, one a line"
    )
