"""keras-yolo3's functions and classes under their old names.

May import ``inference`` and what it may; nothing but the doors at the top of the package imports it.
"""
