"""From a run's tables to figures with intervals and verdicts on claims; needs the run folder and nothing else."""
