"""The static checker: what can be proved of an instruction stream without running it.

That every token that is popped is pushed, and no order of the modules deadlocks; that everything
that is read on the chip was written before; that no access leaves its memory or its tensor; that
two modules never touch the same entry, one of them writing, without a token order between them. A
stream without findings gives one result, whatever the timing of memory and modules.
"""

from vta.check.checker import check_program, check_stream
from vta.check.report import Finding, Kind, Report

__all__ = ["Finding", "Kind", "Report", "check_program", "check_stream"]
