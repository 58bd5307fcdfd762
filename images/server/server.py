#!/usr/bin/env python3
"""The server as a program file, for containers and standalone use; see `hedgerow_server`."""

import sys

from hedgerow_server.__main__ import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
