"""The run folder: what a run leaves behind, where it stands in it, and how its tables are written and read."""
