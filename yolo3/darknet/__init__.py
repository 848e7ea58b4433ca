"""Darknet in Keras: cfg text, layers, networks, weight files and training recipes.

From text to network: `cfg` parses, `sections` and `layers` give each layer its meaning and shape, `network` builds the
Keras model, `keras_weights` moves weights in and out. May import `ops` and the modules at the top of the package.
"""
