"""Training: settings, checked data, the plan of a run, the compiled step, the loop, and the folder that a run leaves.

Read `loop`, then `run` (the record it works with), `plan` (what happens when), `step` and `checkpoint`. May import
everything but `cli` and the package's front doors.
"""
