"""Checks of the files that a command will write."""

from yolo3.cli.outputs import check_outputs


def test_outputs_below_folders_that_are_still_to_be_made_are_fine(folder):
    check_outputs("new/folder/a.json", None, folder / "b.json")
