"""``with vta.profile()``."""

import pytest

import vta
from tests.support.small_vadd import TINY, vadd_arrays, vadd_module
from vta.errors import DeviceError, VTAError
from vta.profiling import profile_program
from vta.rpc import LocalSession


def test_programs_inside_the_block_are_profiled(tmp_path):
    device = LocalSession(TINY.replace(target="sim")).ext_dev(0)
    module, (arrays, _) = vadd_module(), vadd_arrays(device)
    module(*arrays)
    with vta.profile() as p:
        module(*arrays)
        module(*arrays)
    module(*arrays)
    once = profile_program(module.program)
    assert p.result.cycles == 2 * once.cycles
    assert f"{2 * once.cycles:,}" in p.summary()
    assert "<table>" in p._repr_html_()
    p.to_perfetto(tmp_path / "trace.json")
    assert (tmp_path / "trace.json").read_text().startswith("{")


def test_a_block_without_a_run_has_no_profile():
    with vta.profile() as p:
        pass
    with pytest.raises(VTAError, match="no program of the accelerator has run"):
        p.summary()


def test_unknown_target_and_memory_are_refused_before_the_block():
    with (
        pytest.raises(DeviceError, match="the target of a profile is 'board'"),
        vta.profile("board"),
    ):
        pass
    with pytest.raises(DeviceError, match="no memory preset"), vta.profile(memory="fast"):
        pass
