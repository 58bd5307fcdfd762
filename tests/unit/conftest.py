"""Property-based tests look at the same examples everywhere and under no time limit: a busy host is no failure."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("hedgerow", deadline=None, derandomize=True, database=None)
settings.load_profile("hedgerow")
