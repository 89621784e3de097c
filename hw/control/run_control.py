"""The life of a run: launch, the ways in which it ends, and the way back to a clean machine.

``IDLE --launch--> RUN --end, error or reset--> DRAIN --bus idle--> RESET --> IDLE``
"""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.interfaces import ErrorLayout
from vta.memmap import ErrorCode, ModuleState, Source

MODULES = ("load", "compute", "store")

OUTSTANDING_BITS = 16
"""Width of the count of instructions that are dealt and not retired; three queues and what the
modules have under way fit."""


class RunState(enum.Enum, shape=2):
    """Where a run is."""

    IDLE = 0
    RUN = 1
    DRAIN = 2
    """The modules are in reset; the bus transfers that were begun are finished."""
    RESET = 3
    """One cycle in which the bus masters are reset too."""


class RunControl(wiring.Component):
    """Starts a run, notices its end, and cleans up.

    A run is over when everything has been dealt and retired, FINISH too. It is in a deadlock when
    for ``QUIET_CYCLES`` cycles nothing ran, nothing was on the bus and nothing was dealt, although
    instructions are left: no block takes that long from one instruction to the next.

    Parameters
    ----------
    errors : int
        How many blocks report errors. The first error wins, of those in one cycle the lowest.

    Attributes
    ----------
    launch, reset, clear_done : in
        From the control registers. ``launch`` is ignored while busy.
    fetch_busy, fetch_blocked, dealt : in
        From fetch.
    state_<module>, retired_<module> : in
        From load, compute and store.
    finished : in
        FINISH has been executed.
    bus_idle : in
        Nothing on the bus.
    reported : list of ErrorLayout, in
        The blocks' errors.
    start : out
        Launch: begin to fetch; tokens, counters and errors start anew.
    clear : out
        ``start``, or the end of a reset by the user.
    running : out
        From the cycle after ``start`` to the one before ``done``.
    abort, reset_modules, reset_bus : out
        To the bus masters, the modules, the bus masters.
    done : out
        A run has ended, until launch or ``clear_done``.
    error : ErrorLayout, out
        Why it ended early.
    modules : out
        The MODULES register: now, or as the last run ended.
    """

    QUIET_CYCLES = 64

    def __init__(self, *, errors: int) -> None:
        super().__init__({
            "launch": In(1), "reset": In(1), "clear_done": In(1),
            "fetch_busy": In(1), "fetch_blocked": In(1), "dealt": In(1),
            **{f"state_{name}": In(ModuleState) for name in MODULES},
            **{f"retired_{name}": In(1) for name in MODULES},
            "finished": In(1), "bus_idle": In(1),
            "reported": In(ErrorLayout()).array(errors),
            "start": Out(1), "clear": Out(1), "running": Out(1),
            "abort": Out(1), "reset_modules": Out(1), "reset_bus": Out(1),
            "done": Out(1), "error": Out(ErrorLayout()), "modules": Out(32),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        state = Signal(RunState)
        discard = Signal()
        """The user reset the machine: there is no run to report."""
        outstanding = self._count(m)
        ended, failure = self._gather(m, outstanding)
        quiet = self._watch(m, state)

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
                self._run(m, state, ended, failure, quiet)
            with m.Case(RunState.DRAIN), m.If(self.bus_idle):
                m.d.sync += state.eq(RunState.RESET)
            with m.Case(RunState.RESET):
                m.d.sync += state.eq(RunState.IDLE)
                with m.If(~discard):
                    m.d.sync += self.done.eq(1)
        with m.If(self.reset):
            m.d.sync += [discard.eq(1), state.eq(RunState.DRAIN)]
        return m

    def _count(self, m):
        """Instructions that have been dealt and not retired, a cycle late."""
        outstanding = Signal(OUTSTANDING_BITS)
        change = Signal(signed(3))
        retired = Cat(getattr(self, f"retired_{name}") for name in MODULES)
        # dealt - number of retired ones
        numbers = Array(n.bit_count() for n in range(1 << len(MODULES)))
        m.d.sync += change.eq(self.dealt - numbers[retired])
        with m.If(self.clear):
            m.d.sync += outstanding.eq(0)
        with m.Else():
            m.d.sync += outstanding.eq(outstanding + change)
        return outstanding

    def _watch(self, m, state):
        """The modules' states; and whether nothing has happened for long."""
        states = [getattr(self, f"state_{name}") for name in MODULES]
        with m.If(state == RunState.RUN):
            m.d.sync += self.modules.eq(Cat(*states, Const(0, 2), self.fetch_busy))
        moves = Cat(
            *(each == ModuleState.RUNNING for each in states),
            *(getattr(self, f"retired_{name}") for name in MODULES),
            self.dealt,
            self.fetch_busy & ~self.fetch_blocked,
            ~self.bus_idle,
            state != RunState.RUN,
        ).any()
        silence = Signal(range(self.QUIET_CYCLES + 1))
        quiet = silence == self.QUIET_CYCLES
        m.d.sync += silence.eq(Mux(moves, 0, Mux(quiet, silence, silence + 1)))
        return quiet

    def _gather(self, m, outstanding):
        """Whether nothing is left to do, as late as ``outstanding``, and the first error that is
        reported, a cycle later: both come from all over the machine, and stay."""
        ended = Signal()
        fetching = Signal()
        failure = Signal(ErrorLayout())
        m.d.sync += [
            fetching.eq(self.start | self.fetch_busy),
            ended.eq(~self.start & ~fetching & (outstanding == 0)),
            failure.eq(0),
        ]
        for reported in reversed(list(self.reported)):
            with m.If(reported.code != ErrorCode.NONE):
                m.d.sync += failure.eq(reported)
        return ended, failure

    def _run(self, m, state, ended, failure, quiet):
        """While it runs: the first reason to stop."""

        def stop(code, source, addr):
            m.d.sync += [
                self.error.code.eq(code),
                self.error.source.eq(source),
                self.error.addr.eq(addr),
                state.eq(RunState.DRAIN),
            ]

        with m.If(ended):
            with m.If(~self.finished):
                stop(ErrorCode.MISSING_FINISH, Source.CORE, 0)
            with m.Elif(self.bus_idle):
                m.d.sync += state.eq(RunState.DRAIN)
        with m.If(quiet):
            stop(ErrorCode.DEADLOCK, Source.CORE, 0)
        with m.If(failure.code != ErrorCode.NONE):
            stop(failure.code, failure.source, failure.addr)
