"""How good a detector is: matching, average precision, COCO's numbers, kinds of error, advice and the report.

May import ``inference`` and what it may.
"""
