"""How good a detector is: matching, average precision, kinds of errors, and the report.

May import ``inference`` and what it may.
"""
