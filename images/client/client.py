#!/usr/bin/env python3
"""The client as a program file, for containers and by hand; see `hedgerow_client`."""

import sys

from hedgerow_client.__main__ import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
