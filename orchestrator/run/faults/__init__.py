"""Faults at work: planned in `plan/faults`, injected by carriers, undone, and proven.

`session` runs the faults of one block, `carriers` has one module for each program that injects some, `outcome` what
becomes of them.
"""
