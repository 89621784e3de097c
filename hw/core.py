"""The accelerator core: the connections of its blocks, without logic of its own.

control port -> registers, run control
memory port  <- read master  <- fetch, load, compute
memory port  <- write master <- store
fetch -> { load, compute, store } <-> token queues;  load -> inp, wgt SRAM -> compute -> store
"""

from amaranth.hdl import Cat, Module, ResetInserter
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from vta.config import VTAConfig
from vta.hw.bus.axi import AXI4, BusTraits, channels
from vta.hw.bus.read_master import ReadMaster
from vta.hw.bus.write_master import WriteMaster
from vta.hw.compute.compute import Compute
from vta.hw.control import csr
from vta.hw.control.counters import Counters
from vta.hw.control.csr import ControlRegisters
from vta.hw.control.run_control import MODULES, RunControl
from vta.hw.dma.load import LoadModule
from vta.hw.dma.rows import MemoryKind
from vta.hw.dma.store import StoreModule, stored_memories
from vta.hw.frontend.fetch import Fetch
from vta.hw.frontend.token_queues import TokenQueues
from vta.hw.interfaces import AXI4LiteSignature, AXISignature, error_addr_bits
from vta.hw.lib.sram import Sram
from vta.isa import TOKEN_QUEUES, Isa, MemId, capabilities_of
from vta.memmap import (
    ADDR_BITS,
    COUNTERS,
    MODULES_NO_DETAIL,
    ErrorCode,
    Source,
    config_words,
)


class Core(wiring.Component):
    """One VTA.

    Parameters
    ----------
    cfg : VTAConfig
        The machine.
    dsp48 : bool
        For parts whose multipliers are slices of 25 x 18 bits with an adder of 48 bits behind them:
        two products of GEMM in one slice where that is exact, and sums of products in the slices.
        Results and cycles are the same.
    wide_luts : bool
        Select by codes and not by a bit for each value, for parts with LUTs of six inputs
        (:mod:`vta.hw.lib.selection`). Results and cycles are the same.
    bus : BusTraits
        Requirements of the memory port.

    Attributes
    ----------
    m_axi : AXISignature, out
        The memory port.
    s_axi : AXI4LiteSignature, in
        The control port.
    irq : out
        Asserted from the end of a run until the next launch, or until ``done`` is cleared.
    """

    def __init__(
        self, cfg: VTAConfig, *, dsp48: bool = False, wide_luts: bool = False,
        bus: BusTraits = AXI4,
    ) -> None:  # fmt: skip
        self.cfg, self.dsp48, self.wide_luts, self.bus = cfg, dsp48, wide_luts, bus
        super().__init__({
            "m_axi": Out(AXISignature(addr_bits=cfg.addr_bits, data_bits=cfg.bus_bits)),
            "s_axi": In(AXI4LiteSignature(addr_bits=ADDR_BITS)),
            "irq": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, isa = self.cfg, Isa.of(self.cfg)
        error_bits = error_addr_bits(cfg)
        bus = {"addr_bits": cfg.addr_bits, "data_bits": cfg.bus_bits}
        kinds = {memory: MemoryKind.of(cfg, memory) for memory in MemId}

        fetch = Fetch(isa, **bus, room=cfg.fetch_beats)
        load = LoadModule(isa, [kinds[MemId.INP], kinds[MemId.WGT]], **bus)
        compute = Compute(cfg, dsp48=self.dsp48, wide_luts=self.wide_luts)
        store = StoreModule(isa, [kinds[memory] for memory in stored_memories(isa)], **bus)
        shared = compute.shares_loader
        clients = {Source.FETCH: fetch, Source.LOAD: load, Source.COMPUTE: compute}
        if shared:
            clients = {Source.FETCH: fetch, Source.LOAD: compute}
        reads = ReadMaster(
            clients=len(clients), **bus, bus=self.bus, bursts_in_flight=cfg.read_bursts,
            queue_depth=cfg.read_queue_depth, unqueued=(Source.FETCH,),
            beats_bits=[clients[Source(n)].beats_bits for n in range(len(clients))],
            shared=(Source.LOAD, Source.COMPUTE) if shared else None,
            error_addr_bits=error_bits,
        )  # fmt: skip
        writes = WriteMaster(
            **bus, bus=self.bus, beats_bits=store.beats_bits, error_addr_bits=error_bits
        )
        m.submodules.registers = registers = ControlRegisters(
            config_words(cfg), capabilities_of(cfg)
        )
        m.submodules.control = control = RunControl(errors=6, error_addr_bits=error_bits)
        m.submodules.tokens = tokens = TokenQueues()

        # An error and the end of a run reset the modules, then the bus masters.
        blocks = {"fetch": fetch, "load": load, "compute": compute, "store": store}
        for name, block in blocks.items():
            m.submodules[name] = ResetInserter(control.reset_modules)(block)
        m.submodules.reads = ResetInserter(control.reset_bus)(reads)
        m.submodules.writes = ResetInserter(control.reset_bus)(writes)

        # The memory port.
        for source, block in clients.items():
            connect(m, block.read, reads.client[source])
        connect(m, store.write, writes.port)
        for master, names in ((reads, ("ar", "r")), (writes, ("aw", "w", "b"))):
            for name, member in channels(self.m_axi.signature, *names).items():
                pin, signal = getattr(self.m_axi, name), getattr(master, name)
                m.d.comb += pin.eq(signal) if member.flow is Out else signal.eq(pin)

        # The load engine of two modules.
        if shared:
            connect(m, load.request, compute.load_request)
            m.d.comb += [load.done.eq(compute.load_done), reads.second.eq(compute.read_second)]

        # Instructions, tokens, operands.
        for name in MODULES:
            connect(m, getattr(fetch, name), blocks[name].insn)
            connect(m, blocks[name].tokens, getattr(tokens, name))
        self._operands(m, compute if shared else load, compute)
        connect(m, store.out_read, compute.out_read)
        if compute.stores_acc:
            connect(m, store.acc_read, compute.acc_read)

        self._counters(m, registers, control, blocks)
        self._run(m, registers, control, blocks, reads, writes)
        for queue in (queue.name for queue in TOKEN_QUEUES):
            m.d.comb += registers.values[f"tokens_{queue}"].eq(getattr(tokens, queue))
        m.d.comb += [tokens.clear.eq(control.clear), self.irq.eq(control.done)]
        connect(m, flipped(self.s_axi), registers.bus)
        return m

    def _operands(self, m, load, compute):
        """The input and weight SRAMs: the load engine ``load`` writes, compute reads."""
        for name in ("inp", "wgt"):
            write = getattr(load, f"write_{name}")
            sram = Sram(
                log_depth=getattr(self.cfg, f"log_{name}_depth"),
                bits=len(write.data),
                granule=len(write.data) // len(write.mask),
            )
            m.submodules[f"{name}_sram"] = sram
            connect(m, write, sram.write)
            connect(m, getattr(compute, f"{name}_read"), sram.read[0])

    def _counters(self, m, registers, control, blocks):
        """The performance counters and their events."""
        cfg = self.cfg
        _, compute, store = (blocks[name] for name in MODULES)
        load = compute if compute.shares_loader else blocks["load"]
        events = {
            "inp_load_nbytes": (load.loaded_inp, cfg.inp_elem_bytes),
            "wgt_load_nbytes": (load.loaded_wgt, cfg.wgt_elem_bytes),
            "acc_load_nbytes": (compute.loaded_acc, cfg.acc_elem_bytes),
            "uop_load_nbytes": (compute.loaded_uop, cfg.uop_elem_bytes),
            "out_store_nbytes": (store.stored, cfg.out_elem_bytes),
            "gemm_counter": (compute.product, 1),
            "alu_counter": (compute.tile, 1),
            **{  # an instruction that retires in the first cycle of a reset may be the faulty one
                f"insns_{name}": (blocks[name].retired & ~control.reset_modules, 1)
                for name in (MODULES if cfg.error_detail else ())
            },
        }
        assert set(COUNTERS) <= set(events)
        m.submodules.counters = counters = Counters(
            {name: weight for name, (_, weight) in events.items()},
            most={"out_store_nbytes": max(store.sizes)},
            stored=[name.lower() for name in csr.COUNTERS],
        )
        m.d.comb += [
            counters.clear.eq(control.start | control.clear),
            counters.run.eq(control.running),
            counters.read.eq(registers.counter_read),
            counters.index.eq(registers.counter_index),
            registers.counter_value.eq(counters.value),
        ]
        for name, (event, _) in events.items():
            m.d.comb += getattr(counters, f"event_{name}").eq(event)
            if name not in counters.stored:
                m.d.comb += registers.values[name].eq(getattr(counters, name))

    def _run(self, m, registers, control, blocks, reads, writes):
        """Run control, between the registers and the blocks."""
        fetch = blocks["fetch"]
        reporters = (reads, writes, *blocks.values())
        m.d.comb += [
            control.launch.eq(registers.launch),
            control.reset.eq(registers.reset),
            control.clear_done.eq(registers.clear_done),
            fetch.start.eq(control.start),
            fetch.addr.eq(registers.insn_addr),
            fetch.count.eq(registers.insn_count),
            control.fetch_busy.eq(fetch.busy),
            control.fetch_blocked.eq(fetch.blocked),
            control.dispatched.eq(fetch.dispatched),
            control.finished.eq(blocks["compute"].finished),
            control.bus_idle.eq(reads.idle & writes.idle),
            reads.abort.eq(control.abort),
            writes.abort.eq(control.abort),
            *(
                reported.eq(block.error)
                for reported, block in zip(control.reported, reporters, strict=True)
            ),
        ]
        for name in MODULES:
            m.d.comb += [
                getattr(control, f"state_{name}").eq(blocks[name].state),
                getattr(control, f"retired_{name}").eq(blocks[name].retired),
            ]
        error = control.error
        m.d.comb += [
            registers.busy.eq(control.running),
            registers.done.eq(control.done),
            registers.failed.eq(error.code != ErrorCode.NONE),
            registers.values.error.eq(Cat(error.code, error.source)),
            registers.values.error_addr.eq(error.addr),
            registers.values.modules.eq(
                control.modules if self.cfg.error_detail else control.modules | MODULES_NO_DETAIL
            ),
        ]
