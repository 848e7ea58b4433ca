"""``yolo3 data``: one file per subcommand. Imports whatever the command line does."""
