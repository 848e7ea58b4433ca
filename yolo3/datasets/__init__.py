"""Annotated images: one record, a reader and a writer for each format, checks, and an embedded set of
shapes.

`formats.read_dataset` is the door; `checks.check_dataset` says what is wrong with what it returned.
"""
