"""Pure functions on arrays and tensors: box geometry, suppression, the focal loss, the letterbox and its inverse.

May import nothing else of the package.
"""
