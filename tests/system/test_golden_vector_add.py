"""The golden vector addition through `vta exec`: image and counters of the original's simulator."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from vta.cli import main

GOLDEN = Path(__file__).parent.parent / "golden" / "vector_add.npz"
TARGETS = ["sim", "tsim"]


@pytest.fixture
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("target", TARGETS)
def test_exec(target, golden, tmp_path):
    insns, dram, out, stats = (tmp_path / name for name in ("i.bin", "d.bin", "o.bin", "s.json"))
    golden["insns"].tofile(insns)
    golden["dram_in"].tofile(dram)
    result = CliRunner().invoke(
        main,
        ["exec", str(insns), "--dram", str(dram), "--base", hex(int(golden["base"])),
         "--target", target, "--out", str(out), "--stats", str(stats)],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert np.array_equal(np.fromfile(out, np.uint8), golden["dram_out"])
    counters = json.loads(stats.read_text())
    if target == "tsim":
        assert counters.pop("cycle_count") > 0
    assert counters == json.loads(str(golden["stats"]))


def test_the_golden_image_is_a_vector_addition(golden):
    """The image that the tests trust, from NumPy alone."""
    tensors = json.loads(str(golden["tensors"]))

    def tensor(image: str, name: str) -> np.ndarray:
        entry = tensors[name]
        start = entry["phys"] - int(golden["base"])
        return golden[image][start : start + entry["nbytes"]].view(entry["dtype"])

    total = tensor("dram_in", "A") + tensor("dram_in", "B")
    assert np.array_equal(tensor("dram_out", "C"), total.astype(np.int8))
