"""What the programs of all containers share: units, clocks, control sockets and record formats.

Standard library only, so that every image can carry it; the orchestrator reads the same formats through it.
"""
