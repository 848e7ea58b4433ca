"""One reader and writer per format, and the registry of them all.

A format is one module with a :class:`yolo3.datasets.formats.format.Format` called ``FORMAT``, and one line in
``names``. May import what ``datasets`` may, and ``datasets`` itself.
"""
