"""The run folder: each file of a run has one module that writes and reads it."""
