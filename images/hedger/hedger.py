#!/usr/bin/env python3
"""The hedger as a program file, for containers and standalone use; see `hedgerow_hedger`."""

import sys

from hedgerow_hedger.__main__ import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
