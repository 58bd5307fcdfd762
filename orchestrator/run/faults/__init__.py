"""The families of faults: process, cpu, service, network. Each kind is arranged, undone and proven in its own way.

To add a kind: a model in `orchestrator/scenario/faults.py`, a class here with `apply`, `undo` and `proof`, and its
line in `HANDLERS`.
"""
