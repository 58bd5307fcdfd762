"""What a run changes on the host, how that is written down, undone and checked, and what the host must offer."""
