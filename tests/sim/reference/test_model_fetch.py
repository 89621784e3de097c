"""How the model reads the stream."""

from vta.config import INSN_BYTES, VTAConfig
from vta.isa import Finish, Isa, Load, MemId
from vta.sim.memory import Memory
from vta.sim.reference.model import ReferenceModel


class Counted(bytes):
    """A stream that counts the bytes that are copied out of the stream."""

    copied = 0

    def __getitem__(self, key):
        part = super().__getitem__(key)
        Counted.copied += len(part) if isinstance(part, bytes) else 1
        return part


def test_every_byte_of_the_stream_is_copied_once() -> None:
    cfg = VTAConfig.preset("tiny")
    nop = Load(memory=MemId.INP, x_size=0)
    stream = Counted(Isa.of(cfg).encode_all([*[nop] * 2000, Finish()]))
    ReferenceModel(cfg).run(stream, Memory.zeros(0x1000, 64))
    assert Counted.copied == len(stream) == 2001 * INSN_BYTES
