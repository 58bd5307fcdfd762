"""The `orchestrator` command: it plans, runs, analyses and reports experiments with kernel-level hedged requests.

Data flows one way: scenario → plan → run → collect → analysis → report; nothing upstream imports anything downstream.
"""
