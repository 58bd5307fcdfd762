"""What is observed of a host: what it is, what it does while a run measures, how noisy it is, which versions ran."""
