"""Control and status registers, the control of a run, and the event counters."""
