"""Keeps the tests that run inside the virtual machines out of the host's."""

from __future__ import annotations

import os

collect_ignore = [] if "HEDGEROW_GUEST" in os.environ else ["in_guest"]
