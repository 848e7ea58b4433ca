"""Convert Darknet weights to Keras: ``python convert_darknet.py CFG WEIGHTS OUT.h5``; see ``yolo3 convert --help``."""

import sys

from yolo3.cli.convert_darknet import main

if __name__ == "__main__":
    sys.exit(main())
