"""keras-yolo3's functions and classes under their old names, for scripts and notebooks written for it.

May import ``inference`` and what ``inference`` may. Only the doors (``yolo3.model``, ``yolo3.utils``,
``yolo3.yolo``) and the root ``train.py`` import it; new code uses the other folders.
"""
