"""What people look at: boxes on images, contact sheets, curves.

May import ``models``, ``input`` and what these may.
"""
