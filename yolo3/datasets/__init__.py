"""Annotated images: one record, class names, which image a name means, checks, and an embedded set of shapes.

Formats live in ``formats``. May import ``ops`` and the modules at the top of the package.
"""
