"""Control: control and status registers, run control, performance counters."""
