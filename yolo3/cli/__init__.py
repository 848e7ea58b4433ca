"""The command ``yolo3``: one command a file.

May import everything but ``compat``.
"""
