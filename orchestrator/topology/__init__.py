"""Stands the nodes of a run up and takes them down: one module a backend, one interface for all."""
