"""Asks a container's program over its control socket whether it is well; exit code 0 if so, 1 and a message if not.

It imports as little as it can: a check runs beside measurements.
"""

import socket
import sys

_TIMEOUT_S = 5.0


def main(path: str) -> int:
    """Well means: it answers `ping`, and no worker of it has died."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TIMEOUT_S)
        try:
            connection.connect(path)
            connection.sendall(b'{"id":1,"do":"ping"}\n')
            answer = connection.makefile("rb").readline()
        except OSError as error:
            print(f"{path}: {error}")
            return 1
    print(answer.decode(errors="replace").strip())
    return 0 if b'"ok":true' in answer and b'"worker_died"' not in answer else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
