"""Annotated images: the record that all readers return, class names, image files, checks, and an embedded data set.

The formats, one per file, live in ``formats``. May import ``ops`` and the modules at the top of the package.
"""
