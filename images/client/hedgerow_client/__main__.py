"""The client's program.

With `--control` its main process waits for work on the control socket (`supervisor`); with `--server` it runs one
block as its command line says and prints a report (`standalone`).
"""

from __future__ import annotations

import sys

from hedgerow_client.standalone import parse_arguments, run_standalone
from hedgerow_client.supervisor import ClientSupervisor
from hedgerow_node.control import ControlError
from hedgerow_node.supervisor import Supervisor


def main(argv: list[str]) -> int:
    """Wait for work until SIGTERM, SIGINT or the operation `stop`, or run one block; returns the exit code."""
    arguments = parse_arguments(argv)
    if arguments.control is None:
        return run_standalone(arguments)
    try:
        supervisor = Supervisor(arguments.control)
    except (OSError, ControlError) as error:
        print(f"client: {error.strerror if isinstance(error, OSError) else error}", file=sys.stderr)
        return 1
    client = ClientSupervisor(supervisor)
    supervisor.run()
    client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
