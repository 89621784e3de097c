"""The code of TVM's own VTA tutorials runs here with nothing but its import lines replaced.

The tutorials are not part of this repository. The environment variable VTA_TVM_TUTORIALS names the
folder that holds them as text; by default it is looked for beside the checkout.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.support.tutorial_text import from_lines, from_one_line
from vta.config import VTAConfig
from vta.environment import Environment
from vta.testing import simulator

FOLDER = Path(
    os.environ.get("VTA_TVM_TUTORIALS", Path(__file__).parents[3] / "shared" / "tutorials")
)
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="no folder with the texts of TVM's tutorials (VTA_TVM_TUTORIALS)"
)

IMPORTS = """
import os
import numpy as np
import vta
from vta import te, topi, rpc
from vta.compat import tvm, utils, conv2d_nchw_python
from vta.testing import simulator
"""

# Statements that the conversion of the first page to text has lost, and what they stood after.
LOST = (
    ("Default Schedule", "s = te.create_schedule(C.op)\nprint(tvm.lower(s, [A, B, C]))"),
    ("DMA Transfers", "s[A_buf].pragma(s[A_buf].op.axis[0], env.dma_copy)"),
    ("DMA Transfers", "s[B_buf].pragma(s[B_buf].op.axis[0], env.dma_copy)"),
    ("DMA Transfers", "s[C].pragma(s[C].op.axis[0], env.dma_copy)"),
    ("ALU Operations", "s[C_buf].pragma(C_buf.op.axis[0], env.alu)"),
    ("ALU Operations", "print(vta.lower(s, [A, B, C], simple_mode=True))"),
    (
        "TVM Compilation",
        'my_vadd = vta.build(s, [A, B, C], tvm.target.Target("ext_dev", host=env.target_host), '
        'name="my_vadd")',
    ),
)


def run(code, target):
    """Execute the code of a page on a target; returns the counters of its run."""
    np.random.seed(1)
    simulator.clear_stats()
    with Environment(VTAConfig.preset("default").replace(target=target)):
        exec(compile(IMPORTS + code, "tutorial", "exec"), {"__name__": "tutorial"})
    return tuple(simulator.stats().values())[:7]


def page(name):
    return (FOLDER / name).read_text(encoding="utf-8")


def test_get_started(capsys):
    code = from_lines(page("1-get-started-vector-add.txt"), indented=False, lost=LOST)
    assert run(code, "sim") == (0, 0, 8192, 4, 1024, 0, 64)
    assert "Successful vector add test!" in capsys.readouterr().out


def test_blocked_matrix_multiply(capsys):
    code = from_lines(page("2-blocked-matrix-multiply.txt"))
    assert run(code, "sim") == (4096, 1048576, 0, 20, 1024, 4096, 192)
    assert "Successful blocked matrix multiply test!" in capsys.readouterr().out


def test_convolution(capsys):
    code = from_one_line(page("3-conv2d-optimization.txt"))
    assert run(code, "sim") == (114688, 1179648, 0, 1144, 50176, 451584, 9408)
    assert "Successful 2D convolution test!" in capsys.readouterr().out
