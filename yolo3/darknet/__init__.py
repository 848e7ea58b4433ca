"""The bridge to Darknet: its cfg text, its weight files, its recipe, and Keras networks made of them.

May import ``ops`` and the modules at the top of the package.
"""
