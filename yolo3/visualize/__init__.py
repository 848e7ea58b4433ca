"""Everything that is drawn: boxes on images, contact sheets, charts.

May import ``datasets``, ``models``, ``input`` and what they may.
"""
