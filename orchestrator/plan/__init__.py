"""Which blocks a scenario's run has, in which order, how long it takes, and what its sample size can carry."""
