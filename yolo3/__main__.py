"""Run the command ``yolo3`` as ``python -m yolo3``."""

import sys

from yolo3.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
