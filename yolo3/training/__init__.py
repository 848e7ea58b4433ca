"""A training run: settings, checked data, the compiled step, the loop, and the folder it leaves.

May import ``evaluation`` and what it may.
"""
