"""Search for schedules and machines (docs/tools/tuning.md).

A :class:`~vta.tuning.schedule_log.ScheduleLog` holds schedules that ``vta tune`` has found; inside
``with tuned(log):`` operators of :mod:`vta.ops` and networks take them. Only the cycles change.
"""

from vta.errors import TuningError
from vta.tuning.schedule_log import Entry, ScheduleLog, tuned, user_log
from vta.tuning.workload import Workload, parse_workload

__all__ = ["Entry", "ScheduleLog", "TuningError", "Workload", "parse_workload", "tuned", "user_log"]
