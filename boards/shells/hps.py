"""What the FPGA of a Cyclone V sees of the hard processor system (HPS): raw primitives.

The vendor's system builder (Platform Designer) writes the same instances; here they are written
by hand, so that the whole shell is one Verilog text that any tool can read. Port names and widths
are those of the vendor's simulation library (``cyclonev_hps_interface_*``). What the processor's
boot loader configures (pins, clocks, DRAM) is not seen from here.

Every primitive is a table. From it come the instance in the shell, the black box for tools that
have not got the vendor's library, and the check that nothing was left open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amaranth.hdl import Cat, Const, Instance, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BOOT_FROM_FPGA",
    "CLOCKS_RESETS",
    "DEBUG_APB",
    "FPGA2HPS",
    "FPGA2SDRAM",
    "HPS2FPGA",
    "INTERRUPTS",
    "LIGHT_WEIGHT",
    "PORT_SIZES",
    "PRIMITIVES",
    "TRACE",
    "Primitive",
    "black_boxes",
]


@dataclass(frozen=True)
class Primitive:
    """One hard block.

    Attributes
    ----------
    module : str
        Its name in the vendor's library.
    inputs, outputs : mapping of str to int
        Its ports, name to bits. Outputs that are not used here are left out.
    """

    module: str
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]

    def instance(self, **wires: Any) -> Instance:
        """An instance with these ports connected: all inputs, and what is wanted of the outputs.

        Narrow values are extended with zeros to the width of an input.
        """
        missing, unknown = set(self.inputs) - set(wires), set(wires) - self._ports()
        assert not missing and not unknown, f"{self.module}: missing {missing}, unknown {unknown}"
        connections: list[tuple[str, str, Any]] = []
        for name, wire in wires.items():
            if name in self.inputs:
                connections.append(("i", name, _extended(wire, self.inputs[name])))
            else:
                assert len(wire) == self.outputs[name], f"{self.module}: {name} has {len(wire)}"
                connections.append(("o", name, wire))
        return Instance(self.module, *connections)

    def _ports(self) -> set[str]:
        return {*self.inputs, *self.outputs}

    @property
    def black_box(self) -> str:
        """Verilog of the ports. Nothing removes an instance of it, whatever is connected."""
        lines = [
            f"(* blackbox, keep *)\nmodule {self.module} ({', '.join(sorted(self._ports()))});"
        ]
        for direction, ports in (("input", self.inputs), ("output", self.outputs)):
            lines += [f"  {direction} [{bits - 1}:0] {name};" for name, bits in ports.items()]
        return "\n".join([*lines, "endmodule\n"])


def _extended(wire: Any, bits: int) -> Value:
    """A value or a number as one of so many bits."""
    value = Const(wire, bits) if isinstance(wire, int) else Value.cast(wire)
    assert len(value) <= bits, f"{value!r} has more than {bits} bits"
    return Cat(value, Const(0, bits - len(value)))


def _axi3(
    *, addr: int, data: int, ids: int, user: int = 0
) -> tuple[dict[str, int], dict[str, int]]:
    """The ports of an AXI3 interface that its master drives, and those that its slave drives."""
    master: dict[str, int] = {}
    for channel in ("aw", "ar"):
        master |= {
            f"{channel}id": ids, f"{channel}addr": addr, f"{channel}len": 4, f"{channel}size": 3,
            f"{channel}burst": 2, f"{channel}lock": 2, f"{channel}cache": 4, f"{channel}prot": 3,
            f"{channel}valid": 1,
        }  # fmt: skip
        if user:
            master[f"{channel}user"] = user
    master |= {"wid": ids, "wdata": data, "wstrb": data // 8, "wlast": 1, "wvalid": 1}
    master |= {"bready": 1, "rready": 1}
    slave = {
        "awready": 1, "arready": 1, "wready": 1, "bid": ids, "bresp": 2, "bvalid": 1,
        "rid": ids, "rdata": data, "rresp": 2, "rlast": 1, "rvalid": 1,
    }  # fmt: skip
    return master, slave


def _named(block: str, inputs: dict[str, int], outputs: dict[str, int] | None = None) -> Primitive:
    return Primitive(f"cyclonev_hps_interface_{block}", inputs, outputs or {})


CLOCKS_RESETS = _named(
    "clocks_resets",
    dict.fromkeys(
        ("f2h_cold_rst_req_n", "f2h_dbg_rst_req_n", "f2h_warm_rst_req_n", "f2h_pending_rst_ack"), 1
    ),
    {"h2f_rst_n": 1},
)
"""``h2f_rst_n`` is low while the processor is in a cold or a warm reset."""

DEBUG_APB = _named("dbg_apb", {"DBG_APB_DISABLE": 1, "P_CLK_EN": 1})
TRACE = _named("tpiu_trace", {"traceclk_ctl": 1})
BOOT_FROM_FPGA = _named(
    "boot_from_fpga",
    {
        "boot_from_fpga_ready": 1, "boot_from_fpga_on_failure": 1,
        "bsel_en": 1, "csel_en": 1, "csel": 2, "bsel": 3,
    },
)  # fmt: skip
INTERRUPTS = _named("interrupts", {"irq": 64})
"""``irq[i]`` is shared peripheral interrupt 40 + i of the processor, level sensitive."""

_MASTER, _SLAVE = _axi3(addr=21, data=32, ids=12)
LIGHT_WEIGHT = _named("hps2fpga_light_weight", {"clk": 1, **_SLAVE}, _MASTER)
"""The processor's window of 2 MiB at 0xFF20_0000; the addresses here are offsets into it."""

_MASTER, _SLAVE = _axi3(addr=32, data=128, ids=8, user=5)
FPGA2HPS = _named("fpga2hps", {"clk": 1, "port_size_config": 2, **_MASTER}, _SLAVE)
"""A slave for masters in the FPGA. Narrower data lie in the low bits, ``port_size_config`` says how
many there are (:data:`PORT_SIZES`)."""

HPS2FPGA = _named("hps2fpga", {"port_size_config": 2})
FPGA2SDRAM = _named(
    "fpga2sdram",
    {
        "cfg_axi_mm_select": 6, "cfg_port_width": 12, "cfg_cport_type": 12,
        "cfg_cport_rfifo_map": 18, "cfg_cport_wfifo_map": 18,
        "cfg_rfifo_cport_map": 16, "cfg_wfifo_cport_map": 16,
    },
)  # fmt: skip

PORT_SIZES = {32: 0, 64: 1, 128: 2, None: 3}
"""Data bits to ``port_size_config``; None: the bridge is not used."""

PRIMITIVES = (
    CLOCKS_RESETS, DEBUG_APB, TRACE, BOOT_FROM_FPGA, INTERRUPTS, LIGHT_WEIGHT, FPGA2HPS, HPS2FPGA,
    FPGA2SDRAM,
)  # fmt: skip


def black_boxes() -> str:
    """Verilog black boxes of all :data:`PRIMITIVES`, for tools without the vendor's library."""
    return "\n".join(primitive.black_box for primitive in PRIMITIVES)
