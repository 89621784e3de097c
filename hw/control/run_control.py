"""Run control: launch, the ends of a run, and the reset of the machine after it.

``IDLE --launch--> RUN --end, error or reset--> DRAIN --bus idle--> RESET --> IDLE``
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.interfaces import ERROR_ADDR_BITS, ErrorLayout
from vta.memmap import ErrorCode, ModuleState, Source

MODULES = ("load", "compute", "store")

OUTSTANDING_BITS = 16
"""Width of the count of dispatched and not retired instructions: three queues, and the instructions
in flight of the modules."""


class RunState(enum.Enum, shape=2):
    """The state of a run."""

    IDLE = 0
    RUN = 1
    DRAIN = 2
    """The modules are in reset; issued bus transfers complete."""
    RESET = 3
    """One cycle with the bus masters in reset too."""


class RunControl(wiring.Component):
    """Starts a run, detects its end, and resets the machine.

    A run ends when all instructions, FINISH among them, are dispatched and retired. A watchdog
    reports DEADLOCK after ``WATCHDOG_CYCLES`` cycles without activity: no module running, no
    instruction dispatched or retired, no bus transfer outstanding. No block is idle for that long
    between two instructions.

    Parameters
    ----------
    errors : int
        Number of blocks that report errors. The first error is recorded; of errors in the same
        cycle the one with the lowest index.
    error_addr_bits : int
        As of :class:`~vta.hw.interfaces.ErrorLayout`.

    Attributes
    ----------
    launch, reset, clear_done : in
        Strobes from the control registers. ``launch`` is ignored during a run.
    fetch_busy, fetch_blocked, dispatched : in
        From fetch.
    state_<module>, retired_<module> : in
        From load, compute and store.
    finished : in
        Asserted once FINISH has retired.
    bus_idle : in
        Asserted while no bus transfer is outstanding.
    reported : list of ErrorLayout, in
        The errors of the blocks.
    start : out
        Strobe. Fetch starts; tokens, counters and errors are cleared.
    clear : out
        Strobe, with ``start`` and at the end of a reset by the user.
    running : out
        Asserted from the cycle after ``start`` to the cycle before ``done``.
    abort, reset_modules, reset_bus : out
        To the bus masters, the modules, the bus masters.
    done : out
        Asserted from the end of a run until launch or ``clear_done``.
    error : ErrorLayout, out
        The reason of an early end.
    modules : out
        The MODULES register: the current state of the modules, or the state at the end of the last
        run.
    """

    WATCHDOG_CYCLES = 64

    def __init__(self, *, errors: int, error_addr_bits: int = ERROR_ADDR_BITS) -> None:
        self.error_layout = ErrorLayout(error_addr_bits)
        super().__init__({
            "launch": In(1), "reset": In(1), "clear_done": In(1),
            "fetch_busy": In(1), "fetch_blocked": In(1), "dispatched": In(1),
            **{f"state_{name}": In(ModuleState) for name in MODULES},
            **{f"retired_{name}": In(1) for name in MODULES},
            "finished": In(1), "bus_idle": In(1),
            "reported": In(self.error_layout).array(errors),
            "start": Out(1), "clear": Out(1), "running": Out(1),
            "abort": Out(1), "reset_modules": Out(1), "reset_bus": Out(1),
            "done": Out(1), "error": Out(self.error_layout), "modules": Out(32),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        state = Signal(RunState)
        discard = Signal()
        """A reset by the user: no end of a run is reported."""
        outstanding = self._outstanding(m)
        ended, failure = self._end_of_run(m, outstanding)
        watchdog_expired = self._watchdog(m, state)

        m.d.comb += [
            self.start.eq((state == RunState.IDLE) & self.launch & ~self.reset),
            self.clear.eq(self.start | ((state == RunState.RESET) & discard)),
            self.running.eq(state != RunState.IDLE),
            self.reset_modules.eq((state == RunState.DRAIN) | (state == RunState.RESET)),
            self.abort.eq(self.reset_modules),
            self.reset_bus.eq(state == RunState.RESET),
        ]
        with m.If(self.clear | self.clear_done):
            m.d.sync += self.done.eq(0)
        with m.If(self.clear):
            m.d.sync += [self.error.eq(0), discard.eq(0)]

        with m.Switch(state):
            with m.Case(RunState.IDLE), m.If(self.start):
                m.d.sync += state.eq(RunState.RUN)
            with m.Case(RunState.RUN):
                self._run(m, state, ended, failure, watchdog_expired)
            with m.Case(RunState.DRAIN), m.If(self.bus_idle):
                m.d.sync += state.eq(RunState.RESET)
            with m.Case(RunState.RESET):
                m.d.sync += state.eq(RunState.IDLE)
                with m.If(~discard):
                    m.d.sync += self.done.eq(1)
        with m.If(self.reset):
            m.d.sync += [discard.eq(1), state.eq(RunState.DRAIN)]
        return m

    def _outstanding(self, m):
        """The number of dispatched and not retired instructions, a cycle late."""
        outstanding = Signal(OUTSTANDING_BITS)
        change = Signal(signed(3))
        retired = Cat(getattr(self, f"retired_{name}") for name in MODULES)
        retired_count = Array(n.bit_count() for n in range(1 << len(MODULES)))[retired]
        m.d.sync += change.eq(self.dispatched - retired_count)
        with m.If(self.clear):
            m.d.sync += outstanding.eq(0)
        with m.Else():
            m.d.sync += outstanding.eq(outstanding + change)
        return outstanding

    def _watchdog(self, m, state):
        """The MODULES register, and the watchdog: whether it has expired."""
        states = [getattr(self, f"state_{name}") for name in MODULES]
        with m.If(state == RunState.RUN):
            m.d.sync += self.modules.eq(Cat(*states, Const(0, 2), self.fetch_busy))
        active = Cat(
            *(each == ModuleState.RUNNING for each in states),
            *(getattr(self, f"retired_{name}") for name in MODULES),
            self.dispatched,
            self.fetch_busy & ~self.fetch_blocked,
            ~self.bus_idle,
            state != RunState.RUN,
        ).any()
        idle_count = Signal(range(self.WATCHDOG_CYCLES + 1))
        expired = idle_count == self.WATCHDOG_CYCLES
        m.d.sync += idle_count.eq(Mux(active, 0, Mux(expired, idle_count, idle_count + 1)))
        return expired

    def _end_of_run(self, m, outstanding):
        """Registers ``(ended, failure)``: no instruction is left; the error to record.

        The registers end long paths from all blocks. Both conditions hold until the reset.
        """
        ended = Signal()
        fetching = Signal()
        failure = Signal(self.error_layout)
        earlier_failed, failures = 0, []
        for reported in self.reported:
            failed = reported.code != ErrorCode.NONE
            failures.append(Mux(failed & ~earlier_failed, reported.as_value(), 0))
            earlier_failed |= failed
        m.d.sync += [
            fetching.eq(self.start | self.fetch_busy),
            ended.eq(~self.start & ~fetching & (outstanding == 0)),
            failure.eq(reduce(or_, failures)),
        ]
        return ended, failure

    def _run(self, m, state, ended, failure, watchdog_expired):
        """State RUN: stop for the first reason."""

        def stop(code, source):
            m.d.sync += [
                self.error.code.eq(code),
                self.error.source.eq(source),
                self.error.addr.eq(failure.addr),  # 0 without a failure
                state.eq(RunState.DRAIN),
            ]

        with m.If(ended):
            with m.If(~self.finished):
                stop(ErrorCode.MISSING_FINISH, Source.CORE)
            with m.Elif(self.bus_idle):
                m.d.sync += state.eq(RunState.DRAIN)
        with m.If(watchdog_expired):
            stop(ErrorCode.DEADLOCK, Source.CORE)
        with m.If(failure.code != ErrorCode.NONE):
            stop(failure.code, failure.source)
