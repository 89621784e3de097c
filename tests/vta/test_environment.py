"""The tutorials' view of the configuration."""

import subprocess
import sys

import pytest

import vta
from vta.config import VTAConfig
from vta.environment import Environment, rpc_server
from vta.errors import ConfigError, NotProvidedError
from vta.runtime.remote import DEFAULT_PORT


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    monkeypatch.delenv("VTA_CONFIG", raising=False)
    monkeypatch.delenv("VTA_TARGET", raising=False)
    monkeypatch.setattr(Environment, "current", None)


def test_default_values():
    env = vta.get_env()
    expected = {
        "TARGET": "sim", "LOG_BLOCK": 4, "LOG_OUT_BUFF_SIZE": 15, "LOG_OUT_WIDTH": 3,
        "BATCH": 1, "BLOCK_IN": 16, "BLOCK_OUT": 16, "LOG_BLOCK_IN": 4, "LOG_BLOCK_OUT": 4,
        "INP_WIDTH": 8, "WGT_WIDTH": 8, "ACC_WIDTH": 32, "OUT_WIDTH": 8,
        "UOP_BUFF_SIZE": 32768, "INP_BUFF_SIZE": 32768, "WGT_BUFF_SIZE": 262144,
        "ACC_BUFF_SIZE": 131072, "OUT_BUFF_SIZE": 32768,
        "INP_ELEM_BITS": 128, "WGT_ELEM_BITS": 2048, "ACC_ELEM_BITS": 512, "OUT_ELEM_BITS": 128,
        "INP_ELEM_BYTES": 16, "WGT_ELEM_BYTES": 256, "ACC_ELEM_BYTES": 64, "OUT_ELEM_BYTES": 16,
        "inp_dtype": "int8", "wgt_dtype": "int8", "acc_dtype": "int32", "out_dtype": "int8",
        "inp_scope": "local.inp_buffer", "wgt_scope": "local.wgt_buffer",
        "acc_scope": "local.acc_buffer", "dma_copy": "dma_copy", "alu": "alu",
        "BITSTREAM": "1x16_i8w8a32_15_15_18_17", "MODEL": "sim_1x16_i8w8a32_15_15_18_17",
        "mock_mode": False,
    }  # fmt: skip
    assert {key: getattr(env, key) for key in expected} == expected
    assert env.target == "ext_dev -device=vta -keys=vta,cpu -model=sim_1x16_i8w8a32_15_15_18_17"
    assert env.gemm.emit and (env.gemm.batch, env.gemm.block_in) == (1, 16)


def test_variables(monkeypatch, tmp_path):
    path = tmp_path / "vta_config.json"
    path.write_text('{"LOG_BLOCK": 3, "LOG_ACC_BUFF_SIZE": 16, "LOG_WGT_BUFF_SIZE": 15}')
    monkeypatch.setenv("VTA_CONFIG", str(path))
    monkeypatch.setenv("VTA_TARGET", "tsim")
    assert (vta.get_env().BLOCK_IN, vta.get_env().TARGET) == (8, "tsim")
    monkeypatch.setenv("VTA_TARGET", "abacus")
    with pytest.raises(ConfigError, match="VTA_TARGET is 'abacus'; must be one of sim, tsim"):
        vta.get_env()
    monkeypatch.setenv("VTA_CONFIG", str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        vta.get_env()


def test_environments_nest():
    tiny = Environment(VTAConfig.preset("tiny"))
    default = Environment(VTAConfig.preset("default"))
    with tiny as inside:
        assert vta.get_env() is inside is tiny
        with default, tiny:
            assert vta.get_env() is tiny
        assert vta.get_env() is tiny
    assert vta.get_env().BLOCK_IN == 16


def test_mock_leaves_nothing_in_the_program():
    env = vta.get_env()
    mock = env.mock
    assert mock.mock is mock and mock.mock_mode and not env.mock_mode
    assert (mock.dma_copy, mock.alu, mock.gemm.emit) == ("skip_dma_copy", "skip_alu", False)
    assert env.dma_copy == "dma_copy"


def test_the_dictionary_is_a_copy():
    env = vta.get_env()
    env.cfg_dict["TARGET"] = "xyz"
    assert env.cfg_dict["TARGET"] == "sim"


def test_importing_vta_imports_nothing_heavy():
    code = (
        "import sys, vta, vta.isa, vta.program; "
        "sys.exit(any(m.startswith(('amaranth', 'vta.compiler', 'vta.runtime')) "
        "for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="module 'vta' has no attribute 'frobnicate'"):
        vta.frobnicate  # noqa: B018
    assert {"build", "lower", "te"} <= set(dir(vta))


@pytest.mark.parametrize(
    ("name", "instead"),
    [("BATCH", "log_batch"), ("BLOCK_OUT", "log_block"), ("TARGET", "target"),
     ("LOG_BLOCK", "log_block"), ("INP_WIDTH", "log_inp_width"), ("inp_dtype", r"\.\.\."),
     ("frobnicate", r"\.\.\."), ("cfg", r"\.\.\.")],
)  # fmt: skip
def test_attributes_are_read_only(name, instead):
    env = vta.get_env()
    message = (
        rf"env\.{name} cannot be set to 7: the attributes of an environment are read-only; make "
        rf"another one: vta\.Environment\(env\.cfg\.replace\({instead}=\.\.\.\)\)"
    )
    for each in (env, env.mock):
        with pytest.raises(ConfigError, match=message):
            setattr(each, name, 7)
    with pytest.raises(ConfigError, match=rf"env\.{name} cannot be deleted"):
        delattr(env, name)
    assert env.BATCH == env.mock.BATCH == 1


def test_an_environment_of_a_dictionary():
    values = vta.get_env().cfg_dict | {"LOG_BATCH": 1}
    assert vta.Environment(values).BATCH == 2
    with pytest.raises(ConfigError, match="TARGET is 'xyz'; must be one of sim"):
        vta.Environment(values | {"TARGET": "xyz"})
    with pytest.raises(ConfigError, match="cfg is 'tiny'; must be a VTAConfig"):
        vta.Environment("tiny")


def test_the_target_has_parts():
    target = vta.get_env().target
    assert target.kind == "ext_dev" and target.keys == ["vta", "cpu"]
    assert (target.device_name, target.model, target.host) == ("vta", vta.get_env().MODEL, "python")
    with target as inside:
        assert inside is target


def test_the_server_of_the_variables(monkeypatch):
    monkeypatch.delenv("VTA_RPC_HOST", raising=False)
    assert rpc_server() is None
    monkeypatch.setenv("VTA_RPC_HOST", "board")
    monkeypatch.delenv("VTA_RPC_PORT", raising=False)
    assert rpc_server() == ("board", DEFAULT_PORT)
    monkeypatch.setenv("VTA_RPC_PORT", "9191")
    assert rpc_server() == ("board", 9191)
    monkeypatch.setenv("VTA_RPC_PORT", "-1")
    with pytest.raises(ConfigError, match="VTA_RPC_PORT is '-1'; must be a number"):
        rpc_server()


@pytest.mark.parametrize("first", ["vta.get_env()", "vta.te", "vta.runtime"])
def test_numpy_knows_the_types_of_every_machine(first):
    """Whatever part of the package the user's program touches first."""
    code = f"import numpy, vta, vta.runtime; {first}; print(numpy.arange(9).astype('int4')[8])"
    if first != "vta.runtime":
        code = code.replace(", vta.runtime", "")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("-8\n", "")


@pytest.mark.parametrize("name", ["target_vta_cpu", "pkg", "dev", "MAX_XFER"])
def test_attributes_of_the_original_say_what_to_use(name):
    with pytest.raises(NotProvidedError, match=rf"env\.{name} is no part of this package; \w+"):
        getattr(vta.get_env(), name)


def test_other_attributes_are_attribute_errors():
    env = vta.get_env()
    with pytest.raises(AttributeError, match=r"an environment has no BLOCK_INN; it has BLOCK_IN,"):
        env.BLOCK_INN  # noqa: B018
    with pytest.raises(AttributeError, match=r"an environment has no qqqq; it has .*BATCH.*gemm"):
        env.qqqq  # noqa: B018
    assert not hasattr(env, "frobnicate")
