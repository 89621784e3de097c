"""The compute module: issue, three execution units, micro-op SRAM and accumulators.

::

    insn -> issue -+----------> LOAD engine --> micro-op SRAM, accumulators
                   +-> queue -> GEMM ---------> accumulators
                   +-> queue -> ALU ----------> accumulators -> out_read, acc_read (store module)

A LOAD of UOP, ACC or ACC_8BIT executes on the LOAD engine; FINISH and NOPs execute on no unit.

=========================  ==========================================  =====================
shared resource            arbitration, in order of falling priority   latency
=========================  ==========================================  =====================
port of micro-op SRAM      GEMM, ALU, micro-op bounds of issue         1 cycle to the data
bank of accumulators       GEMM, ALU, LOAD                             1 cycle to the data
instruction queues         one instruction issues in a cycle           1 cycle
=========================  ==========================================  =====================

Order and hazards between units: :mod:`vta.hw.compute.issue`. Bank conflicts:
:mod:`vta.hw.compute.accumulators`. This file is wiring only.
"""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from vta.config import VTAConfig
from vta.hw.compute.accumulators import Accumulators
from vta.hw.compute.alu import Alu
from vta.hw.compute.alu_pipeline import AluPipeline
from vta.hw.compute.gemm import Gemm
from vta.hw.compute.issue import Issue
from vta.hw.compute.lookahead import GEMM_WRITE_LOOKAHEAD
from vta.hw.compute.uop_memory import UopMemory
from vta.hw.dma.load import LoadEngine, pad_load_of
from vta.hw.dma.rows import MemoryKind, beats_bits
from vta.hw.dma.shared_load import SharedLoadEngine
from vta.hw.interfaces import (
    ReadPortSignature,
    SramReadSignature,
    TileReadSignature,
    error_addr_bits,
    module_status,
)
from vta.hw.lib.register_queue import RegisterQueue
from vta.isa import Capability, Isa, MemId
from vta.memmap import ErrorCode, Source

__all__ = ["Compute"]


class Compute(wiring.Component):
    """Issue, execution units, micro-op SRAM and accumulators behind one instruction queue.

    Parameters
    ----------
    cfg : VTAConfig
        The machine.
    dsp48 : bool
        As of :class:`~vta.hw.core.Core`.
    wide_luts : bool
        As of :class:`~vta.hw.compute.accumulators.Accumulators`.

    Attributes
    ----------
    insn, tokens, state, retired, error
        As in every module (:func:`~vta.hw.interfaces.module_status`). ``insn`` holds only legal
        instructions.
    read : Out(ReadPortSignature)
        Memory reads of UOP, ACC and ACC_8BIT loads.
    inp_read, wgt_read : Out(SramReadSignature)
        Operands of GEMM.
    out_read : In(SramReadSignature)
        The low ``out_width`` bits of every accumulator, for the store module.
    acc_read : In(TileReadSignature)
        Whole accumulators, for the store module, on a machine that stores them.
    load_request, load_done, write_<inp, wgt>, loaded_<inp, wgt>, read_second
        On a machine with one load engine, which is in this module: the ports of the load module
        (:class:`~vta.hw.dma.shared_load.SharedLoadEngine`).
    loaded_uop, loaded_acc : Out(1)
        An element (an accumulator tile also from ACC_8BIT) came from DRAM in this cycle, for the
        byte counters.
    product, tile : Out(1)
        A GEMM product (reset = 0) or an ALU tile was issued in this cycle, for the counters.
    finished : Out(1)
        FINISH has been executed; held until reset.
    """

    def __init__(self, cfg: VTAConfig, *, dsp48: bool = False, wide_luts: bool = False):
        self.cfg, self.dsp48, self.wide_luts = cfg, dsp48, wide_luts
        self.isa = isa = Isa.of(cfg)
        memories = (MemId.UOP, MemId.ACC, MemId.ACC_8BIT)
        self.kinds = [MemoryKind.of(cfg, memory) for memory in memories]
        self.loader = self._loader()
        self.beats_bits = beats_bits(tuple(self.loader.kinds), cfg.bus_bits)
        """Width of the number of beats of a request."""
        self.shares_loader = isinstance(self.loader, SharedLoadEngine)
        self.stores_acc = Capability.STORE_ACC in isa.capabilities
        acc_read = TileReadSignature(log_depth=cfg.log_acc_depth, bits=cfg.acc_elem_bits)
        super().__init__({
            **module_status(isa),
            **({"acc_read": In(acc_read)} if self.stores_acc else {}),
            **(self._load_module_ports() if self.shares_loader else {}),
            "read": Out(ReadPortSignature(addr_bits=cfg.addr_bits, data_bits=cfg.bus_bits)),
            "inp_read": Out(SramReadSignature(log_depth=cfg.log_inp_depth, bits=cfg.inp_elem_bits)),
            "wgt_read": Out(SramReadSignature(log_depth=cfg.log_wgt_depth, bits=cfg.wgt_elem_bits)),
            "out_read": In(SramReadSignature(log_depth=cfg.log_acc_depth, bits=cfg.out_elem_bits)),
            "loaded_uop": Out(1), "loaded_acc": Out(1), "product": Out(1), "tile": Out(1),
            "finished": Out(1),
        })  # fmt: skip

    def _loader(self) -> LoadEngine | SharedLoadEngine:
        """The load engine: that of this module, or the one that the load module uses, too."""
        cfg, isa = self.cfg, self.isa
        bus = {"addr_bits": cfg.addr_bits, "data_bits": cfg.bus_bits}
        if cfg.load_engines == 1:
            first = [MemoryKind.of(cfg, memory) for memory in (MemId.INP, MemId.WGT)]
            return SharedLoadEngine(isa, first, self.kinds, **bus)
        return LoadEngine(
            isa.memory, self.kinds, **bus, source=Source.COMPUTE, pad_load=pad_load_of(isa),
            rows_in_flight=cfg.load_rows, error_addr_bits=error_addr_bits(cfg),
        )  # fmt: skip

    def _load_module_ports(self) -> dict:
        """The ports of the shared load engine that belong to the load module."""
        members = self.loader.signature.members
        names = ("write_inp", "write_wgt", "loaded_inp", "loaded_wgt", "read_second")
        return {
            **{name: members[name] for name in names},
            "load_request": members["first"], "load_done": Out(1),
        }  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, isa = self.cfg, self.isa
        m.submodules.issue = issue = Issue(isa)
        m.submodules.loader = loader = self.loader
        m.submodules.gemm = gemm = Gemm(isa, dsp48=self.dsp48)
        m.submodules.alu = alu = Alu(isa, dsp48=self.dsp48, wide_luts=self.wide_luts)
        m.submodules.uops = uops = UopMemory(
            log_depth=cfg.log_uop_depth, bits=isa.uop.bits, readers=3
        )
        m.submodules.accumulators = accumulators = Accumulators(
            log_depth=cfg.log_acc_depth,
            lanes=cfg.batch * cfg.block_out,
            lane_bits=cfg.acc_width,
            out_bits=cfg.out_width,
            granule=min(cfg.bus_bits, cfg.acc_elem_bits),
            reads_tiles=self.stores_acc,
            most_banks=cfg.log_acc_banks,
            alu_parts=cfg.alu_beats,
            wide_luts=self.wide_luts,
        )

        # Instructions and completions.
        wiring.connect(m, wiring.flipped(self.insn), issue.insn)
        wiring.connect(m, wiring.flipped(self.tokens), issue.tokens)
        if self.shares_loader:
            load_request, load_done = loader.second, loader.second_done
            self._connect_load_module(m, loader)
        else:
            load_request, load_done = loader.request, loader.done
        wiring.connect(m, issue.load, load_request)
        self._queue(m, "gemm", issue.gemm, gemm.insn)
        self._queue(m, "alu", issue.alu, alu.insn)
        m.d.comb += [
            issue.gemm_done.eq(gemm.done),
            issue.alu_done.eq(alu.done),
            self.state.eq(issue.state),
            self.retired.eq(issue.retired),
            self.finished.eq(issue.finished),
        ]
        # Registered: a bank conflict may stall the last write of a LOAD by one cycle.
        m.d.sync += issue.load_done.eq(load_done)

        self._connect_memories(m, issue, loader, gemm, alu, uops, accumulators)

        # Events and errors.
        m.d.comb += [
            self.loaded_uop.eq(loader.loaded_uop),
            self.loaded_acc.eq(loader.loaded_acc),
            self.product.eq(gemm.product),
            self.tile.eq(alu.tile),
        ]
        m.d.comb += self.error.eq(issue.error)
        for block in (loader, alu, gemm):
            with m.If(block.error.code != ErrorCode.NONE):
                m.d.comb += self.error.eq(block.error)
        return m

    def _connect_load_module(self, m: Module, loader) -> None:
        """The ports of the shared load engine that belong to the load module."""
        wiring.connect(m, wiring.flipped(self.load_request), loader.first)
        wiring.connect(m, wiring.flipped(self.write_inp), loader.write_inp)
        wiring.connect(m, wiring.flipped(self.write_wgt), loader.write_wgt)
        m.d.comb += [
            self.load_done.eq(loader.first_done),
            self.loaded_inp.eq(loader.loaded_inp),
            self.loaded_wgt.eq(loader.loaded_wgt),
            self.read_second.eq(loader.read_second),
        ]

    def _connect_memories(self, m: Module, issue, loader, gemm, alu, uops, accumulators) -> None:
        """The memory ports of LOAD, GEMM and ALU, and those of the store module."""
        wiring.connect(m, loader.read, wiring.flipped(self.read))
        wiring.connect(m, loader.write_uop, uops.write)
        wiring.connect(m, loader.write_acc, accumulators.load_write)
        for reader, port in zip((gemm.uop_read, alu.uop_read, issue.uop_read), uops.read):
            wiring.connect(m, reader, port)
        for unit in (gemm, alu):
            m.d.comb += [
                unit.uop_written.eq(uops.written),
                unit.uop_written_addr.eq(uops.written_addr),
            ]
        wiring.connect(m, gemm.inp_read, wiring.flipped(self.inp_read))
        wiring.connect(m, gemm.wgt_read, wiring.flipped(self.wgt_read))
        wiring.connect(m, gemm.acc_read, accumulators.gemm_read)
        wiring.connect(m, gemm.acc_write, accumulators.gemm_write)
        assert GEMM_WRITE_LOOKAHEAD == AluPipeline.LATENCY + 1
        wiring.connect(m, gemm.acc_read_lookahead, accumulators.gemm_read_lookahead)
        wiring.connect(m, gemm.acc_write_lookahead, accumulators.gemm_write_lookahead)
        wiring.connect(m, alu.dst_read, accumulators.alu_dst_read)
        wiring.connect(m, alu.src_read, accumulators.alu_src_read)
        wiring.connect(m, alu.acc_write, accumulators.alu_write)
        wiring.connect(m, alu.acc_write_lookahead, accumulators.alu_write_lookahead)
        m.d.comb += [
            alu.dst_reserved.eq(accumulators.alu_dst_reserved),
            alu.src_reserved.eq(accumulators.alu_src_reserved),
            loader.stall.eq(accumulators.load_stall),
        ]
        wiring.connect(m, wiring.flipped(self.out_read), accumulators.out_read)
        if self.stores_acc:
            wiring.connect(m, wiring.flipped(self.acc_read), accumulators.tile_read)

    def _queue(self, m: Module, name: str, from_issue, into_unit) -> None:
        """Connects a unit to issue through a queue, so that younger instructions issue to the
        other unit while this one is busy."""
        bits, depth = self.isa.memory.bits, self.cfg.unit_queue_depth
        queue = SyncFIFO(width=bits, depth=depth) if depth > 1 else RegisterQueue(width=bits)
        m.submodules[f"{name}_queue"] = queue
        m.d.comb += [
            queue.w_data.eq(from_issue.payload),
            queue.w_en.eq(from_issue.valid),
            from_issue.ready.eq(queue.w_rdy),
            into_unit.payload.eq(queue.r_data),
            into_unit.valid.eq(queue.r_rdy),
            queue.r_en.eq(into_unit.ready),
        ]
