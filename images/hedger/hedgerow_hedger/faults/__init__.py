"""Network faults at the client's interface: by the hedger's own programs, or by netem."""
