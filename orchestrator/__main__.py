"""Lets `python -m orchestrator` stand for the `orchestrator` command."""

from orchestrator.cli import main

main()
