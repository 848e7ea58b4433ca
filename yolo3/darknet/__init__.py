"""The bridge to Darknet: its cfg text, its weight files, and Keras networks made of both."""
