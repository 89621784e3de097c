"""Yosys on blocks of known cost, for every family."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from amaranth.back import verilog
from amaranth.lib.fifo import SyncFIFO

from vta.boards.synthesis import yosys
from vta.boards.synthesis.parts import CYCLONE_V, ECP5, GW2A, GW5A, SEVEN, SynthesisError
from vta.boards.synthesis.yosys import Yosys
from vta.hw.compute.alu_lane import AluLane
from vta.hw.compute.dot import DotProduct
from vta.hw.compute.dot_pair import DotProductPair
from vta.hw.lib.sram import Sram


def text_of(block):
    return verilog.convert(block, name="block", emit_src=False)


def resources(tmp_path, block, family):
    own = Yosys(tmp_path).cells(text_of(block), "block", family)
    return family.count(sum(own.values(), Counter()))


@pytest.mark.parametrize(
    ("family", "resource", "expected"),
    [
        (SEVEN, "BRAM36", 2),
        (CYCLONE_V, "M10K", 7),
        (ECP5, "EBR", 4),
        (GW2A, "BSRAM", 4),
        (GW5A, "BSRAM", 4),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_memories_become_block_ram(tmp_path, family, resource, expected):
    """1024 words of 64 bits; at that depth a block is 36, 10, or 18 bits wide."""
    used = resources(tmp_path, Sram(log_depth=10, bits=64), family)
    assert used[resource] == expected


def test_a_pair_takes_the_multipliers_of_one_and_sums_in_their_slices(tmp_path):
    sizes = {"length": 8, "a_bits": 8, "b_bits": 8, "max_bits": 32}
    single = resources(tmp_path, DotProduct(**sizes), SEVEN)
    pair = resources(tmp_path, DotProductPair(**sizes), SEVEN)
    assert single["DSP"] == pair["DSP"] == 8
    assert pair["LUT"] <= single["LUT"] < 40


def test_a_lane_sums_its_products_in_their_slices(tmp_path):
    plain = resources(tmp_path, AluLane(requantises=False), SEVEN)
    slices = resources(tmp_path, AluLane(requantises=False, dsp48=True), SEVEN)
    assert plain["DSP"] == slices["DSP"] == 3
    assert slices["LUT"] <= plain["LUT"] - 64


def test_narrow_products_share_a_block_of_cyclone_v(tmp_path):
    block = DotProduct(length=4, a_bits=8, b_bits=8, max_bits=32)
    assert resources(tmp_path, block, CYCLONE_V)["DSP"] * 3 == 4


def test_narrow_products_share_a_multiplier_of_gowin(tmp_path):
    block = DotProduct(length=4, a_bits=8, b_bits=8, max_bits=32)
    assert resources(tmp_path, block, GW2A)["DSP"] == 2
    assert resources(tmp_path, block, GW5A)["DSP"] == 0


def test_a_queue_is_in_the_luts_of_cyclone_v(tmp_path):
    """16 words of 40 bits, zeros at the start: two bits an ALM, and no word in registers."""
    queue = SyncFIFO(depth=16, width=40)
    ports = [queue.w_data, queue.w_en, queue.w_rdy, queue.r_data, queue.r_en, queue.r_rdy]
    text = verilog.convert(queue, name="block", ports=ports, emit_src=False)
    own = Yosys(tmp_path).cells(text, "block", CYCLONE_V)
    cells = sum(own.values(), Counter())
    assert cells["MISTRAL_MLAB"] == 40
    assert cells["MISTRAL_FF"] < 40


STORE = """\
module block (clk, en, at, into, out);
  input clk, en;
  wire clk, en;
  input [1:0] at;
  input [7:0] into;
  output [7:0] out;
  reg [7:0] mem [3:0];
  initial begin
    mem[0] = 8'h00;
    mem[1] = 8'h07;
    mem[2] = 8'h00;
    mem[3] = 8'h00;
  end
  always @(posedge clk) if (en) mem[at] <= into;
  assign out = mem[at];
endmodule
"""


def test_a_memory_with_first_values_is_not_mapped_to_cyclone_v(tmp_path):
    """Its values would be left out. On the other families they stay."""
    yosys = Yosys(tmp_path)
    said = "module block: memory mem starts with 07; must start with zeros"
    with pytest.raises(SynthesisError, match=said):
        yosys.cells(STORE, "block", CYCLONE_V)
    with pytest.raises(SynthesisError, match=said):
        yosys.flat(STORE, "block", CYCLONE_V, tmp_path / "flat")
    assert sum(yosys.cells(STORE, "block", ECP5)["block"].values())
    zeros = STORE.replace("8'h07", "8'h00")
    assert yosys.cells(zeros, "block", CYCLONE_V)["block"]["MISTRAL_MLAB"] == 8


SUM = """\
module block (clk, a, b, c, s);
  input clk;
  input [15:0] a, b, c;
  output reg [17:0] s;
  always @(posedge clk) s <= a + b + c;
endmodule
"""


@pytest.mark.parametrize(
    ("family", "chain", "bits"), [(SEVEN, "CARRY4", 4), (CYCLONE_V, "MISTRAL_ALUT_ARITH", 1)]
)
def test_a_sum_of_three_ends_in_a_carry_chain(tmp_path, family, chain, bits):
    cells = Yosys(tmp_path).cells(SUM, "block", family)["block"]
    assert 16 <= cells[chain] * bits <= 20


HARD = """\
(* blackbox, keep *)
module hard (a, y);
  input [0:0] a;
  output [0:0] y;
endmodule
module block (a, b, y);
  input a;
  input b;
  output y;
  wire inner;
  hard one (
    .a(a),
    .y(inner)
  );
  assign y = inner & b;
endmodule
"""


def test_hard_blocks_are_not_counted(tmp_path):
    """What is marked as a black box is not synthesised, and costs nothing."""
    told = []
    own = Yosys(tmp_path).cells(HARD, "block", ECP5, told.append)
    assert own == {"block": Counter(LUT4=1)} and told == ["block"]


def test_results_are_kept(tmp_path):
    text, told = text_of(Sram(log_depth=5, bits=8)), []
    first = Yosys(tmp_path).cells(text, "block", ECP5, told.append)
    assert Yosys(tmp_path).cells(text, "block", ECP5, told.append) == first
    assert told == ["block"]


def test_a_failure_says_what_yosys_said(tmp_path):
    text = "module block(a);\n  input a;\n  nonsense;\nendmodule\n"
    with pytest.raises(SynthesisError, match=r"yosys .* ended with 1: .*syntax error"):
        Yosys(tmp_path).cells(text, "block", ECP5)
    assert not list(tmp_path.glob("*.json"))


def test_without_the_tool(tmp_path, monkeypatch):
    monkeypatch.setattr(yosys.Yosys, "TOOL", "no-such-yosys")
    with pytest.raises(SynthesisError, match=r"neither .* nor on PATH; .* pip install"):
        Yosys(tmp_path)


def test_two_runs_of_the_same_module_at_the_same_time(tmp_path, monkeypatch):
    """As of two workers whose machines have a module in common: both have the result."""
    both = Barrier(2)

    def run(self, arguments, folder):
        if "-V" in arguments:
            return "Yosys"
        both.wait(timeout=60)
        (folder / "stat.json").write_text('{"design": {"num_cells_by_type": {"LUT4": 3}}}')
        both.wait(timeout=60)
        return ""

    monkeypatch.setattr(Yosys, "_run", run)
    text = "module block (clk);\n  input clk;\nendmodule\n"
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(Yosys(tmp_path).cells, text, "block", ECP5) for _ in range(2)]
        assert [run.result() for run in runs] == [{"block": Counter(LUT4=3)}] * 2
    (kept,) = tmp_path.iterdir()
    assert kept.suffix == ".json"
