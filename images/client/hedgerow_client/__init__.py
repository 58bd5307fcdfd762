"""The client: sends UDP requests block by block, as it is asked to, and records what became of each."""
