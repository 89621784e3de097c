"""The compute module: takes its instructions in order and runs each on its unit.

LOAD of UOP, ACC, ACC_8BIT -> load engine;  GEMM, ALU -> their pipelines;  FINISH, NOP -> nothing to do
"""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vta.config import VTAConfig
from vta.hw.interfaces import ReadPortSignature, SramReadSignature, module_status
from vta.isa import Isa

__all__ = ["Compute"]


class Compute(wiring.Component):
    """Micro-op SRAM, accumulators, GEMM and ALU behind one instruction queue.

    Attributes
    ----------
    insn, tokens, state, retired, error
        As every module has them (:func:`~vta.hw.interfaces.module_status`). ``insn`` holds only legal instructions.
    read : Out(ReadPortSignature)
        Memory reads of UOP, ACC and ACC_8BIT loads.
    inp_read, wgt_read : Out(SramReadSignature)
        Operands of GEMM.
    out_read : In(SramReadSignature)
        The low ``out_width`` bits of every accumulator, for the store module; data a cycle after ``en``.
    loaded_uop, loaded_acc : Out(1)
        An element (an accumulator tile also from ACC_8BIT) came from DRAM in this cycle, for the byte counters.
    product, tile : Out(1)
        A GEMM product (reset = 0) or an ALU tile was issued in this cycle, for the counters.
    finished : Out(1)
        FINISH has been executed; held until reset.
    """

    def __init__(self, cfg: VTAConfig):
        self.cfg = cfg
        self.isa = isa = Isa.of(cfg)
        super().__init__({
            **module_status(isa),
            "read": Out(ReadPortSignature(addr_bits=cfg.addr_bits, data_bits=cfg.bus_bits)),
            "inp_read": Out(SramReadSignature(log_depth=cfg.log_inp_depth, bits=cfg.inp_elem_bits)),
            "wgt_read": Out(SramReadSignature(log_depth=cfg.log_wgt_depth, bits=cfg.wgt_elem_bits)),
            "out_read": In(SramReadSignature(log_depth=cfg.log_acc_depth, bits=cfg.out_elem_bits)),
            "loaded_uop": Out(1), "loaded_acc": Out(1), "product": Out(1), "tile": Out(1),
            "finished": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        return Module()
