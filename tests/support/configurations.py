"""Machines for tests: the presets, and odd ones at the edges of what a configuration may be."""

from __future__ import annotations

from hypothesis import strategies as st

from vta.config import MICROARCHITECTURE, VTAConfig
from vta.errors import ConfigError


def machine(
    *,
    batch: int = 0,
    block: int = 2,
    inp: int = 3,
    wgt: int = 3,
    depths: tuple[int, int, int, int] = (6, 6, 6, 6),
    queues: tuple[int, ...] = (),
    **others: int,
) -> VTAConfig:
    """A configuration by log2: batch, block, bits of inputs and of weights, SRAM depths.

    The depths are those of uop, inp, wgt and acc. ``queues`` are the values of the keys of the
    micro-architecture, in their order; none for the defaults.
    """
    if queues:
        others |= dict(zip((key.lower() for key in MICROARCHITECTURE), queues, strict=True))
    uop_depth, inp_depth, wgt_depth, acc_depth = depths
    return VTAConfig(
        log_batch=batch,
        log_block=block,
        log_inp_width=inp,
        log_wgt_width=wgt,
        log_uop_buff_size=uop_depth + 2,
        log_inp_buff_size=inp_depth + batch + block + inp - 3,
        log_wgt_buff_size=wgt_depth + 2 * block + wgt - 3,
        log_acc_buff_size=acc_depth + batch + block + 5 - 3,
        **others,
    )


CONFIGURATIONS = {
    "tiny": VTAConfig.preset("tiny"),
    "default": VTAConfig.preset("default"),
    "batch2": machine(batch=1),
    "batch4_block2": machine(batch=2, block=1, depths=(5, 4, 4, 5)),
    "int4": machine(block=3, inp=2, wgt=2, depths=(6, 6, 5, 6)),
    "int4_by_int16": machine(batch=1, inp=2, wgt=4, depths=(5, 5, 6, 7)),
    "int16": machine(inp=4, wgt=4),
    "int16_by_int4": machine(batch=2, block=3, inp=4, wgt=2, depths=(6, 5, 4, 4)),
    "block64": machine(block=6, depths=(6, 4, 3, 4)),
    "block2": machine(block=1, inp=2, depths=(4, 9, 3, 4)),
    "two_entries": machine(depths=(1, 1, 1, 1)),
}
"""By name; the depths of input and accumulator memory differ in both directions."""


@st.composite
def configurations(draw: st.DrawFn) -> VTAConfig:
    """Any valid configuration, wide buses and addresses included."""
    batch, block = draw(st.integers(0, 2)), draw(st.integers(1, 6))
    inp, wgt = draw(st.integers(2, 4)), draw(st.integers(2, 4))
    acc = draw(st.integers(1, 11))
    wgt_depth = draw(st.integers(1, min(16, 31 - acc, 32 - 2 * acc)))
    inp_depth = draw(st.integers(1, min(16, 32 - acc - wgt_depth)))
    try:
        return machine(
            batch=batch, block=block, inp=inp, wgt=wgt,
            depths=(draw(st.integers(1, 13)), inp_depth, wgt_depth, acc),
            log_bus_width=draw(st.integers(6, 9)), addr_bits=draw(st.integers(32, 64)),
        )  # fmt: skip
    except ConfigError:  # too large or too small a tile or buffer
        return draw(st.sampled_from(list(CONFIGURATIONS.values())))
