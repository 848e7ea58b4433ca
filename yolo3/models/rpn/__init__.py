"""The region proposal network of Faster R-CNN: the architecture, the sampling of its anchors, the recall of proposals.

May import what ``models`` may, and ``models`` itself.
"""
