"""The command that converts, called from tests."""

from yolo3.cli.convert_darknet import main


def convert(*arguments):
    """Run `yolo3 convert` and return its exit status."""
    return main([str(argument) for argument in arguments])
