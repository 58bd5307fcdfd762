"""What a host tells about itself in /proc and /sys: everything is read, nothing is changed, no process is started.

What stays as it is for the length of a run is in `static.py`; what changes while it measures is in `activity.py`,
taken before and after. Whatever a host does not tell is null: kernels, machines and containers differ in that.
"""
