"""The command ``yolo3``: each command is a file with `build_parser()` and `main(argv=None) -> int`.

Options, their help and their defaults are made from the settings (`yolo3.settings`).

May import everything but `compat`.
"""
