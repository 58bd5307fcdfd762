"""Carries a plan out: topology up, blocks one after the other, raw records into the run folder, topology down."""
