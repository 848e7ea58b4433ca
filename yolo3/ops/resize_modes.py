"""How images are brought to the size of the network input, by name; needs neither NumPy nor OpenCV."""

RESIZE_MODES = ("letterbox", "stretch")
