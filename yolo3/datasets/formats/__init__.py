"""One reader and writer a format, and the registry that knows them all.

May import what ``datasets`` may, and ``datasets`` itself.
"""
