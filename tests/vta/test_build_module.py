"""``vta.build`` and its context: what debug flags print, what the mock environment leaves out."""

import numpy as np
import pytest

import vta
from tests.support.workloads import conv2d, matmul, schedule_vadd, vadd
from vta import rpc, te
from vta.compiler.schedule.schedule import Schedule
from vta.config import VTAConfig
from vta.environment import Environment
from vta.errors import CompileError, ScheduleError
from vta.runtime import array, empty

ENV = Environment(VTAConfig.preset("default"))

UOPS = """\
vadd: 1 micro-ops
    #    dst   src   wgt
    0      0     5     0
"""
INSTRUCTIONS = """\
vadd: 6 instructions
    #  l2g g2l g2s s2g
    0    0   0   0   0  LOAD ACC sram=0 dram=0x0 rows=1 cols=5 stride=5  ; A
    1    0   0   0   0  LOAD ACC sram=5 dram=0x0 rows=1 cols=5 stride=5  ; B
    2    0   0   0   0  LOAD UOP sram=0 dram=0x0 rows=1 cols=1 stride=1
    3    0   0   1   0  ALU ADD acc uop[0:1] in(5: dst+1 src+1)  push(next)
    4    0   0   0   0  STORE OUT sram=0 dram=0x0 rows=1 cols=5 stride=5  pop(prev)  ; C
    5    0   0   0   0  FINISH
"""


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (0, ""),
        (ENV.DEBUG_DUMP_UOP, UOPS),
        (ENV.DEBUG_DUMP_INSN, INSTRUCTIONS),
        (ENV.DEBUG_DUMP_INSN | ENV.DEBUG_DUMP_UOP, UOPS + INSTRUCTIONS),
        (ENV.DEBUG_SKIP_READ_BARRIER | ENV.DEBUG_SKIP_WRITE_BARRIER, ""),
    ],
)
def test_debug_flags_print_what_is_built(flags, text, capsys):
    ops = vadd(5)
    with ENV, vta.build_config(debug_flag=flags, disabled_pass={"tir.CommonSubexprElimTIR"}):
        vta.build(schedule_vadd(ops), ops.args, name="vadd")
    assert capsys.readouterr().out == text
    with ENV:
        vta.build(schedule_vadd(ops), ops.args)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("flag", [1, 32, -2, True, "2"])
def test_other_debug_flags_do_not_exist(flag):
    names = r"must be a sum of env\.DEBUG_DUMP_INSN \(2\), env\.DEBUG_DUMP_UOP \(4\), .*\(16\)$"
    with pytest.raises(CompileError, match=names), vta.build_config(debug_flag=flag):
        pass


def test_what_build_config_cannot_do_is_named():
    with (
        pytest.raises(CompileError, match="the pass 'dma' cannot be disabled"),
        vta.build_config(disabled_pass=["dma"]),
    ):
        pass
    with pytest.raises(CompileError, match="no option 'opt_level'"), vta.build_config(opt_level=3):
        pass


# ---- env.mock ------------------------------------------------------------------------------------


def scheduled(ops, total: te.Tensor, loads, env_of: dict[str, Environment]) -> Schedule:
    """Everything on chip at once; ``env_of`` says whose pragmas load, gemm, alu and store use."""
    s = te.create_schedule(ops.res.op)
    for tensor, scope in zip(loads, (ENV.inp_scope, ENV.wgt_scope)):
        s[tensor].set_scope(scope)
        s[tensor].pragma(tensor.op.axis[0], env_of["load"].dma_copy)
    for tensor in (total, ops.shr, ops.max, ops.min):
        s[tensor].set_scope(ENV.acc_scope)
    for tensor in (ops.shr, ops.max, ops.min):
        s[tensor].pragma(tensor.op.axis[0], env_of["alu"].alu)
    *outer, b_tns, c_tns, k_tns = s[total].leaves
    s[total].reorder(*outer, b_tns, c_tns, k_tns)
    inner = [axis for axis in total.op.reduce_axis if axis is not ops.ic_tns]
    s[total].reorder(*total.op.axis[:-2], *inner, *total.op.axis[-2:], ops.ic_tns)
    s[total].tensorize(total.op.axis[-2], env_of["gemm"].gemm)
    s[ops.res].pragma(ops.res.op.axis[0], env_of["store"].dma_copy)
    return s


FULL = {"inp": 64, "wgt": 2048, "out": 32, "gemm": 8, "alu": 6}
"""Of the product below: 1 x 4 tiles of data, 2 x 4 of weights."""


@pytest.mark.parametrize(
    ("mocked", "left_out"),
    [
        ((), ()),
        (("load",), ("inp", "wgt")),
        (("gemm",), ("gemm",)),
        (("alu",), ("alu",)),
        (("store",), ("out",)),
        (("load", "gemm", "alu", "store"), tuple(FULL)),
    ],
)
def test_the_mock_environment_leaves_out_its_part(mocked, left_out):
    assert ENV.mock.mock.mock_mode
    ops = matmul(o=1, n=4, m=2)
    env_of = {
        part: ENV.mock if part in mocked else ENV for part in ("load", "gemm", "alu", "store")
    }
    s = scheduled(ops, ops.gem, (ops.data_buf, ops.weight_buf), env_of)
    device = rpc.LocalSession(ENV.cfg).ext_dev(0)
    with ENV:
        module = vta.build(s, ops.args)
    data, weight = (np.ones(t.shape, np.int8) for t in ops.args[:2])
    counters = module(
        array(data, device), array(weight, device), empty(ops.res.shape, "int8", device)
    ).counters
    counted = {
        "inp": counters.inp_load_nbytes,
        "wgt": counters.wgt_load_nbytes,
        "out": counters.out_store_nbytes,
        "gemm": counters.gemm_counter,
        "alu": counters.alu_counter,
    }
    assert counted == {name: 0 if name in left_out else n for name, n in FULL.items()}


def test_a_mocked_convolution_is_empty():
    ops = conv2d(ic=1, oc=1, height=4, width=4)
    env_of = dict.fromkeys(("load", "gemm", "alu", "store"), ENV.mock)
    with ENV:
        module = vta.build(
            scheduled(ops, ops.conv, (ops.data_buf, ops.kernel_buf), env_of), ops.args
        )
    assert module.program.instruction_count == 1
    device = rpc.LocalSession(ENV.cfg).ext_dev(0)
    arrays = [empty(t.shape, t.dtype, device) for t in ops.args]
    assert set(module(*arrays).counters.as_dict().values()) == {0}


# ---- wrong calls ---------------------------------------------------------------------------------


OPS = vadd(5)


@pytest.mark.parametrize("call", [vta.build, vta.lower])
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            (OPS.args[0],),
            "args is the tensor A alone; must be called as vta.* with the schedule and",
        ),
        (([],), "args is empty; must have A, B, C in the order of the call"),
        (({"A": OPS.args[0]},), r"args is of type dict; must be called as vta\.\w+\(s, \[A, B\]\)"),
        (("AB",), "args is of type str; must be called as"),
        (
            ([OPS.args[0].op, *OPS.args[1:]],),
            r"args\[0\] is the operation of A; must be the tensor",
        ),
        (([*OPS.args[:2], "C"],), r"args\[2\] is 'C'; must be a te.Tensor"),
        (([OPS.args],), r"args\[0\] is .*; must be a te.Tensor"),
    ],
)
def test_wrong_arguments_are_named(call, args, message):
    with ENV, pytest.raises(CompileError, match=f"{call.__name__}: {message}"):
        call(schedule_vadd(OPS), *args)


@pytest.mark.parametrize("call", [vta.build, vta.lower])
def test_what_is_no_schedule_is_named(call):
    for wrong, name in ((OPS.args[2], "Tensor.C, "), (OPS.args, "list"), (None, "NoneType")):
        with pytest.raises(CompileError, match=f"schedule is {name}.*te.create_schedule"):
            call(wrong, OPS.args)


def test_tensors_in_place_of_a_target_are_named():
    for further in ([OPS.args[1]], [OPS.args[1], OPS.args[2]], [None, OPS.args[2]]):
        with pytest.raises(
            CompileError, match=r"the tensors must be one list: vta.build\(s, \[A, B"
        ):
            vta.build(schedule_vadd(OPS), OPS.args[0], *further)


def test_targets_are_accepted():
    with ENV:
        s = schedule_vadd(OPS)
        built = [
            vta.build(s, OPS.args, *more, **named).program.code
            for more, named in (
                ((), {}),
                ((ENV.target, ENV.target_host), {}),
                (("ext_dev",), {"target_host": "llvm"}),
            )
        ]
    assert built[0] == built[1] == built[2]


def test_outputs_of_a_schedule_are_tensors():
    for wrong in (5, "C", None):
        with pytest.raises(ScheduleError, match="a tensor, an operation or a list of them is req"):
            te.create_schedule(wrong)
