"""What the commands do, as Python calls: `train`, `evaluate`, `read_dataset`, whose errors name arguments.

It may import everything but the command line, which is the same calls with parsing and printing.
"""
