"""The verdict on each claim: evidence, then a trial of each claim alone, noise floors, and all claims together."""
