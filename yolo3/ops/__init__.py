"""Pure functions on arrays and tensors: box geometry, non-maximum suppression, focal loss, letterbox and its inverse.

Imports nothing else of the package.
"""
