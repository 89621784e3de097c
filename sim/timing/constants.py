"""The constants of the timing model: latencies and limits, read from the classes of the RTL.

A number that is an attribute of an RTL class is read from the class. What the RTL states only in
the tables of its docstrings is a named constant in :class:`Pipeline`, with the block it describes;
``tests/sim/timing`` compares the model with the simulated RTL, so that a change there is noticed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from vta.extras import importing

if TYPE_CHECKING:
    import numpy.typing as npt

    from vta.config import VTAConfig
    from vta.isa import AluOpcode

__all__ = ["Constants", "Pipeline"]


class Pipeline:
    """Cycles between two events, from the cycle tables of the RTL's docstrings."""

    LAUNCH_TO_FETCH = 4
    """Start of a run to the first request of fetch: address check and first chunk."""
    BEAT_TO_DISPATCH = 4
    """Last beat of an instruction on the bus to its dispatch: buffer (two), instruction, decode."""
    DISPATCH_TO_HEAD = 3
    """Dispatch into an empty queue to the head of the module: queue and output register."""
    CHUNK_INTERVAL = 2
    """Two requests of fetch."""
    DESCRIPTOR_HANDOVER = 2
    """A descriptor is taken to the next transfer that the row generator accepts or offers."""
    ROW_REGISTER = 2
    """A row is in the register of the row sequencer to its request: register, skid buffer."""
    ROW_TO_BURST = 3
    """A row is requested to its first burst at the arbiter: burst splitter, skid buffer."""
    GRANT_TO_ADDRESS = 1
    """A burst is granted to its address on the bus."""
    ROW_TO_WRITE_BEAT = 5
    """A row of a STORE is requested to its first beat on the bus."""
    BEAT_QUEUE = 1
    """A beat arrives to the row writer: the beat queue."""
    CREDIT_LAG = 2
    """A beat arrives, or a burst is granted, to the credits that count it."""
    RANGES_NO_ACCESS, RANGES_ONE_ROW, RANGES_ROWS = 3, 3, 6
    RANGES_LOOP, RANGES_TWO_OPERANDS = 7, 9
    """Accept of an instruction to its advance, by kind: ``vta.hw.compute.access_ranges``."""
    BOUNDS_READ = 11
    """The same if one word of micro-ops is read; a cycle more for each further word."""
    BOUNDS_AFTER_LOAD = 10
    """A LOAD of micro-ops is done to the advance of an instruction that reads them."""
    BOUNDS_CACHED = 4
    """Ranges of micro-ops that are cached: ``vta.hw.compute.uop_bounds.UopBounds.ENTRIES``."""
    ADVANCE_TO_REQUEST = 2
    """Advance to the request at the scoreboard."""
    REQUEST_TO_ISSUE = 2
    """A request is accepted to the first cycle in which it can issue."""
    DONE_TO_ISSUE = 2
    """An instruction is done to the issue of one that depends on it."""
    TOKEN_TO_ISSUE = 2
    """A token is pushed to its pop by the compute module, where availability is registered."""
    TOKEN_TO_MODULE = 1
    """A token is pushed to its pop by the load or store module."""
    DONE_TO_RETIRE = 1
    RETIRE_TO_ISSUE = 1
    """The oldest instruction retires to the issue of one that needs its scoreboard entry."""
    ISSUE_TO_START = 1
    """Issue to the earliest start in GEMM or ALU: the queue of the unit."""
    START_TO_LOOP = 1
    """A start is accepted to the loop counters being loaded."""
    LOAD_DONE = 1
    """The last write of a LOAD of the compute module to ``load_done``."""
    RETIRE_TO_END = 7
    """The last instruction retires to the end of the run: count, end detection, drain, reset."""


@dataclass(frozen=True)
class Constants:
    """Latencies and limits of the RTL for one configuration; all in cycles unless said otherwise.

    Attributes
    ----------
    queue_depth : int
        Instructions in the queue of a module.
    chunk, room : int
        Beats of a request of fetch; beats in its buffer and outstanding.
    descriptor, row_generator : int
        Request of a transfer to its descriptor; to its first row.
    skid : int
        A skid buffer.
    loader : int
        The reader of the bus, and load engine, of the compute module: the third one, or the second
        one, which the load module uses, too.
    rows_in_flight, loads_in_flight, stores_in_flight, store_rows_in_flight : int
        Limits of the load and store modules.
    burst_beats, beats_in_flight, bursts_in_flight, write_bursts_in_flight : int
        Limits of the bus masters.
    scoreboard, unit_queue : int
        Instructions in flight in the compute module; in the queue of a unit.
    sequencer, gemm, alu : int
        Start of a GEMM or ALU instruction to its first micro-op; to its ``done`` if that micro-op
        is the only one.
    banks : array of int64
        The bank of each accumulator.
    gemm_read, gemm_write : int
        A GEMM micro-op is offered to the read, and to the write, of its accumulator.
    alu_read, alu_write : int
        An ALU micro-op is offered to its reads; its reads to its write.
    alu_beats : int
        Cycles of an ALU micro-op, each for a part of its tile.
    alu_late : dict of AluOpcode to int
        Cycles by which the result of an operation comes too late for the next beat, which is the
        next micro-op on a machine with all lanes.
    alu_periods : dict of AluOpcode to int
        Cycles from one beat to the next of the operations that take more than one; empty on a
        machine with multipliers in the ALU.
    forwarded : int
        Distance of two GEMM micro-ops up to which the younger one's old value is forwarded.
    uop_lanes : int
        Micro-ops in a word of their SRAM.
    tile_read : int
        A STORE of ACC asks for a tile to its data.
    """

    queue_depth: int
    chunk: int
    room: int
    descriptor: int
    row_generator: int
    skid: int
    loader: int
    rows_in_flight: int
    loads_in_flight: int
    stores_in_flight: int
    store_rows_in_flight: int
    burst_beats: int
    beat_queue: int
    beats_in_flight: int
    bursts_in_flight: int
    write_bursts_in_flight: int
    scoreboard: int
    unit_queue: int
    sequencer: int
    gemm: int
    alu: int
    banks: npt.NDArray[np.int64]
    gemm_read: int
    gemm_write: int
    alu_read: int
    alu_write: int
    alu_beats: int
    alu_late: dict[AluOpcode, int]
    alu_periods: dict[AluOpcode, int]
    forwarded: int
    uop_lanes: int
    tile_read: int

    @staticmethod
    @cache
    def of(cfg: VTAConfig) -> Constants:
        """The constants of the machine ``cfg``.

        Raises
        ------
        ToolError
            If Amaranth, in which the RTL is written, is not installed.
        """
        with importing("the timing model", "rtl"):
            import amaranth  # noqa: F401
        from vta.config import BURST_BEATS, INSN_QUEUE_DEPTH
        from vta.hw.bus import read_master, write_master
        from vta.hw.compute import accumulators, uop_memory
        from vta.hw.compute.accumulate import Accumulate
        from vta.hw.compute.alu import Alu
        from vta.hw.compute.alu_lane import TWO_CYCLE_OPERATIONS, WB_OPERATIONS
        from vta.hw.compute.alu_pipeline import AluPipeline
        from vta.hw.compute.alu_serial import product_period
        from vta.hw.compute.gemm import TileProduct
        from vta.hw.compute.sequencer import Sequencer
        from vta.hw.compute.tile_reader import TileReader
        from vta.hw.dma import load, store
        from vta.hw.dma.row_generator import DescriptorBuilder, RowGenerator
        from vta.hw.frontend.fetch import StreamReader
        from vta.hw.lib.skid_buffer import SkidBuffer

        # As in `vta.hw.compute.gemm.Gemm`, which is not built here: a design that is built and not
        # elaborated gives a warning.
        accumulate_after = TileProduct.latency(cfg) - Accumulate.ADDEND
        return Constants(
            queue_depth=INSN_QUEUE_DEPTH,
            chunk=StreamReader.CHUNK,
            room=cfg.fetch_beats,
            descriptor=DescriptorBuilder.LATENCY,
            row_generator=RowGenerator.LATENCY,
            skid=SkidBuffer.LATENCY,
            loader=cfg.load_engines,
            rows_in_flight=cfg.load_rows,
            loads_in_flight=load.LOADS_IN_FLIGHT,
            stores_in_flight=store.STORES_IN_FLIGHT,
            store_rows_in_flight=store.ROWS_IN_FLIGHT,
            burst_beats=BURST_BEATS,
            beat_queue=cfg.read_queue_depth,
            beats_in_flight=read_master.BEATS_IN_FLIGHT,
            bursts_in_flight=cfg.read_bursts,
            write_bursts_in_flight=write_master.BURSTS_IN_FLIGHT,
            scoreboard=cfg.issue_depth,
            unit_queue=cfg.unit_queue_depth,
            sequencer=Sequencer.LATENCY,
            gemm=Sequencer.LATENCY + accumulate_after + Accumulate.LATENCY - 1,
            alu=Alu.LATENCY,
            banks=np.array(
                [
                    accumulators.bank_index(n, cfg.log_acc_depth, cfg.log_acc_banks)
                    for n in range(cfg.acc_depth)
                ]
            ),
            gemm_read=accumulate_after + 1,
            gemm_write=accumulate_after + Accumulate.LATENCY,
            alu_read=AluPipeline.ISSUE_LATENCY,
            alu_write=AluPipeline.LATENCY,
            alu_beats=cfg.alu_beats,
            alu_late={
                **dict.fromkeys(TWO_CYCLE_OPERATIONS, 1),
                **dict.fromkeys(WB_OPERATIONS, AluPipeline.LATENCY),
            },
            alu_periods={}
            if cfg.alu_multiplier
            else {each: product_period(each) for each in (*TWO_CYCLE_OPERATIONS, *WB_OPERATIONS)},
            forwarded=Accumulate.LATENCY - 1,
            uop_lanes=1 << uop_memory.log_lanes(cfg.log_uop_depth),
            tile_read=TileReader.LATENCY,
        )
