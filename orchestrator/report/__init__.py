"""What people see of a run: tables on the terminal and plots, made from its folder alone."""
