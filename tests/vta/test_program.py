"""Program files: what is saved comes back, and what is damaged, foreign or dangerous is refused."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from vta.config import VTAConfig
from vta.errors import ProgramError
from vta.isa import Alu, AluOpcode, Finish, Gemm, Isa, Load, MemId, Store
from vta.program import UOP_BUFFER, Program, Relocation, TensorSpec

CFG = VTAConfig.preset("tiny")  # BLOCK 4: inp, out 4 bytes, acc 16 bytes, wgt 16 bytes
INSNS = (
    Load(memory=MemId.ACC, sram_base=0, dram_base=2, y_size=1, x_size=3, x_stride=3),
    Load(memory=MemId.UOP, sram_base=0, dram_base=1, y_size=1, x_size=1, x_stride=1),
    Alu(uop_bgn=0, uop_end=1, iter_in=3, dst_factor_in=1, alu_opcode=AluOpcode.ADD, use_imm=True,
        imm=-7, push_next=True),
    Store(sram_base=0, dram_base=1, y_size=1, x_size=3, x_stride=3, pop_prev=True),
    Load(memory=MemId.INP),
    Finish(),
)  # fmt: skip
TENSORS = (
    TensorSpec("a", (5, 1, 4), "int32", read=True),
    TensorSpec("c", (4, 1, 4), "int8", written=True),
)
RELOCATIONS = (Relocation(0, 0), Relocation(1, UOP_BUFFER), Relocation(3, 1))


def program(insns=INSNS, tensors=TENSORS, relocations=RELOCATIONS, cfg=CFG):
    code = Isa.of(cfg).encode_all(insns)
    return Program("kernel", cfg, code, bytes(8), tensors, relocations)


def rewritten(data, **changes):
    """A program file with some members replaced; the container is right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            key = name.partition(".")[0]
            new.writestr(zipfile.ZipInfo(name), changes.get(key, old.read(name)))
    return out.getvalue()


def manifest(data, **changes):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        values = json.loads(archive.read("manifest.json"))
    return rewritten(data, manifest=json.dumps(values | changes))


def test_round_trip(tmp_path):
    path = tmp_path / "kernel.vta"
    program().save(path)
    assert Program.load(path) == program()
    assert Program.load(path).instructions == INSNS


def test_same_program_same_bytes():
    assert program().to_bytes() == program().to_bytes()


def test_members_are_readable_with_any_zip_tool():
    with zipfile.ZipFile(io.BytesIO(program().to_bytes())) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert json.loads(archive.read("manifest.json"))["fingerprint"] == CFG.fingerprint
        assert archive.read("instructions.bin") == Isa.of(CFG).encode_all(INSNS)
        assert archive.read("relocations.bin").hex() == (
            "00000000" "00000000" "01000000" "ffffffff" "03000000" "01000000"
        )  # fmt: skip


def test_relocation_adds_element_addresses():
    code = program().relocate([0x1000, 0x3000], 0x2000)
    insns = Isa.of(CFG).decode_all(code)
    assert insns[0] == replace(INSNS[0], dram_base=2 + 0x1000 // 16)
    assert insns[1] == replace(INSNS[1], dram_base=1 + 0x2000 // 4)
    assert insns[3] == replace(INSNS[3], dram_base=1 + 0x3000 // 4)
    assert [insns[n] for n in (2, 4, 5)] == [INSNS[n] for n in (2, 4, 5)]


def test_relocation_refuses_what_the_field_cannot_hold():
    with pytest.raises(ProgramError, match=r"instruction 0 moves elements of 16 bytes.*0x1008"):
        program().relocate([0x1008, 0x3000], 0x2000)
    with pytest.raises(ProgramError, match="instruction 1 would start at element 4294967297"):
        program().relocate([0x1000, 0x3000], 1 << 34)


def test_another_machine_is_named_with_its_difference():
    other = CFG.replace(log_inp_buff_size=9)
    with pytest.raises(ProgramError) as error:
        program().require_machine(other)
    for text in (CFG.fingerprint, other.fingerprint, "LOG_INP_BUFF_SIZE 8 and 9"):
        assert text in str(error.value)
    program().require_machine(CFG.replace(target="tsim", log_bus_width=7, hw_ver="9"))


def test_the_extension_is_needed_where_it_is_used():
    """A program of the base set runs on a machine without the extension."""
    base = CFG.replace(extension=0)
    assert CFG.extension
    program().require_machine(base)
    for insn, name in (
        (Gemm(start=True, uop_end=1), "GEMM_START"),
        (Alu(alu_opcode=AluOpcode.REQUANTISE, uop_end=1), "REQUANTISE"),
        (Load(memory=MemId.INP, pad_value=-1), "PAD_VALUE"),
        (Alu(alu_opcode=AluOpcode.MAX, start=True, uop_end=1), "ALU_START"),
        (Store(memory=MemId.ACC, y_size=1, x_size=1, x_stride=1), "STORE_ACC"),
    ):
        code = Isa.of(CFG).encode_all([insn, Finish()])
        extended = replace(program(), code=code, relocations=())
        extended.require_machine(CFG)
        with pytest.raises(ProgramError, match=rf"uses {name} of .* lacks \(its EXTENSION is 0\)"):
            extended.require_machine(base)


def test_a_load_with_a_pad_value_reaches_less():
    """Its address has 29 bits; an address beyond is refused and does not become a pad value."""
    load = Load(memory=MemId.INP, dram_base=1, y_size=1, x_size=1, x_stride=1, pad_value=-1)
    code = Isa.of(CFG).encode_all([load, Finish()])
    extended = replace(program(), code=code, relocations=(Relocation(0, 0),))
    addresses = [0] * len(extended.tensors)
    nbytes = CFG.inp_elem_bytes
    last = ((1 << 29) - 2) * nbytes
    moved = Isa.of(CFG).decode_all(extended.relocate([last, *addresses[1:]], 0))
    assert moved[0] == replace(load, dram_base=(1 << 29) - 1)
    with pytest.raises(ProgramError, match=f"element {1 << 29}; must be at most {(1 << 29) - 1}"):
        extended.relocate([last + nbytes, *addresses[1:]], 0)


def test_every_truncation_is_refused():
    data = program().to_bytes()
    for length in range(0, len(data), 7):
        with pytest.raises(ProgramError):
            Program.from_bytes(data[:length])


def test_every_flipped_byte_is_refused():
    data = program().to_bytes()
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 0x41
        with pytest.raises(ProgramError):
            Program.from_bytes(bytes(broken))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "elf"}, "not a VTA program"),
        ({"version": 2}, "version 2; this package reads version 1"),
        ({"version": "1"}, "version '1'"),
        ({"fingerprint": "1x16"}, "fingerprint says 1x16, the configuration gives 1x4_i8w8a32"),
        ({"config": {"LOG_BLOCK": 77}}, "LOG_BLOCK is 77"),
        ({"config": {"ROM": 1}}, "unknown key 'ROM'"),
        ({"config": None}, "'config' is None; must be dict"),
        ({"name": 7}, "'name' is 7"),
        ({"tensors": {}}, "'tensors' is {}"),
        ({"tensors": [7]}, "a tensor is a JSON object"),
        ({"tensors": []}, "points to argument 0; there are 0 tensors"),
    ],
)
def test_manifest_is_checked(changes, message):
    with pytest.raises(ProgramError, match=message) as error:
        Program.from_bytes(manifest(program().to_bytes(), **changes), where="kernel.vta")
    assert str(error.value).startswith("kernel.vta: ")


@pytest.mark.parametrize("shape", [[0], [-1], ["x"], [True, 1], [None]])
def test_shapes_are_checked(shape):
    tensor = {"name": "a", "shape": shape, "dtype": "int8", "read": True, "written": False}
    with pytest.raises(ProgramError, match="extents must be positive"):
        Program.from_bytes(manifest(program().to_bytes(), tensors=[tensor] * 2))


def test_foreign_files_are_refused(tmp_path):
    with pytest.raises(ProgramError, match="cannot read the VTA program"):
        Program.load(tmp_path / "nothing")
    for data in (b"", b"\x7fELF" + bytes(200), b"PK\x03\x04" + bytes(100)):
        with pytest.raises(ProgramError, match="not a VTA program"):
            Program.from_bytes(data)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("setup.py", "import os")
    with pytest.raises(ProgramError, match=r"holds setup\.py; must hold exactly manifest\.json"):
        Program.from_bytes(out.getvalue())


def test_compressed_members_are_refused():
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(program().to_bytes())) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(ProgramError, match="must be stored plainly"):
        Program.from_bytes(out.getvalue())


def test_a_deep_manifest_is_refused():
    deep = "[" * 100_000
    with pytest.raises(ProgramError, match="not a VTA program"):
        Program.from_bytes(rewritten(program().to_bytes(), manifest=deep))


@pytest.mark.parametrize(
    ("at", "insn", "message"),
    [
        (0, replace(INSNS[0], x_size=4), "instruction 0: reaches byte 96 of a, which has 80"),
        (0, replace(INSNS[0], y_size=2, x_stride=9), "instruction 0: reaches byte 224 of a"),
        (0, replace(INSNS[0], memory=MemId.UOP), "instruction 0: a transfer of UOP points to"),
        (0, Load(memory=MemId.ACC), "instruction 0: a NOP is relocated"),
        (0, INSNS[3], "instruction 0: a STORE on a, which is not declared so"),
        (1, replace(INSNS[1], x_size=2), "instruction 1: reaches byte 12 of micro-ops"),
        (1, Gemm(uop_end=1), "instruction 1 is relocated, but moves no data"),
        (2, INSNS[0], "instruction 2: a transfer without a relocation"),
        (2, replace(INSNS[3], y_size=0), "instruction 2: a transfer without a relocation"),
        (2, Finish(), "instruction 2: FINISH before the end"),
        (2, Gemm(uop_bgn=2, uop_end=1), r"instruction 2: the micro-op range \[2, 1\)"),
        (3, replace(INSNS[3], y_pad_0=1), "instruction 3: a STORE cannot pad"),
        (5, INSNS[4], "the last instruction must be FINISH"),
    ],
)  # fmt: skip
def test_streams_are_checked(at, insn, message):
    insns = [*INSNS]
    insns[at] = insn
    broken = program(tuple(insns))
    with pytest.raises(ProgramError, match=message):
        broken.check()
    with pytest.raises(ProgramError, match=message):
        Program.from_bytes(broken.to_bytes())


def test_bits_that_are_no_instruction_are_refused():
    data = rewritten(program().to_bytes(), instructions=b"\x07" + bytes(15))
    with pytest.raises(ProgramError):
        Program.from_bytes(data)


def test_relocations_must_ascend():
    with pytest.raises(ProgramError, match="relocation of instruction 0 after that of 0"):
        program(relocations=(Relocation(0, 0), Relocation(0, 0)))
    with pytest.raises(ProgramError, match="relocation of instruction 6"):
        program(relocations=(Relocation(6, 0),))


def test_sizes_of_tensors():
    assert TensorSpec("x", (3, 5), "int4").nbytes == 8
    assert TensorSpec("x", (3, 5), "uint16").nbytes == 30
    with pytest.raises(ProgramError, match="dtype 'float32'"):
        TensorSpec("x", (1,), "float32")


def test_uops_are_words():
    words = Program("k", CFG, b"", np.array([1, 0x80000000], "<u4").tobytes(), (), ()).uop_words
    assert words.tolist() == [1, 0x80000000]
    with pytest.raises(ProgramError, match="micro-ops are 3 bytes"):
        Program("k", CFG, b"", b"abc", (), ())
