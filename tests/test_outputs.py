"""Checks of the files that a command will write."""

from yolo3.outputs import check_outputs


def test_outputs_in_folders_that_do_not_exist_yet_are_accepted(folder):
    check_outputs("new/folder/a.json", None, folder / "b.json")
