"""``with vta.profile()``."""

from contextlib import closing

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


def test_a_summary_inside_the_block_does_not_keep_later_programs_out():
    device = LocalSession(TINY.replace(target="sim")).ext_dev(0)
    module, (arrays, _) = vadd_module(), vadd_arrays(device)
    with vta.profile() as p:
        module(*arrays)
        once = p.result.cycles
        module(*arrays)
    assert p.result.cycles == 2 * once


def test_what_is_no_regular_file_is_written_to_and_stays(tmp_path):
    """A rename would replace the node of a device, /dev/full for example."""
    device = LocalSession(TINY.replace(target="sim")).ext_dev(0)
    module, (arrays, _) = vadd_module(), vadd_arrays(device)
    with vta.profile() as p:
        module(*arrays)
    link, file = tmp_path / "link.json", tmp_path / "file.json"
    link.symlink_to(file)
    p.to_perfetto(link)
    assert link.is_symlink() and file.read_text().startswith("{")


def test_the_profile_has_the_target_and_memory_of_the_device():
    """Programs that ran on the simulated RTL are timed by it, and the profile says so."""
    session = LocalSession(TINY.replace(target="tsim"), memory_preset="ddr")
    with closing(session):
        module, (arrays, _) = vadd_module(), vadd_arrays(session.ext_dev(0))
        with vta.profile() as p:
            cycles = module(*arrays).cycle_count
    assert (p.result.target, p.result.memory, p.result.cycles) == ("tsim", "ddr", cycles)
    assert "profile on tsim (simulated RTL), memory ddr" in p.summary()
    assert "profile on tsim (simulated RTL), memory ddr" in p._repr_html_()
    assert p.result.as_dict()["target"] == "tsim"


def test_a_target_that_is_stated_gives_the_times_wherever_the_programs_run():
    device = LocalSession(TINY.replace(target="sim")).ext_dev(0)
    module, (arrays, _) = vadd_module(), vadd_arrays(device)
    with vta.profile(memory="ddr") as p:
        module(*arrays)
    assert "profile on sim (timing model), memory ddr" in p.summary()
    with vta.profile("tsim") as p:
        module(*arrays)
    assert p.target == "tsim"


class Elsewhere:
    """A device of another name: what it can do is what the simulated one can."""

    def __init__(self, device, name):
        self._device, self.name = device, name

    def __getattr__(self, attribute):
        return getattr(self._device, attribute)


@pytest.mark.parametrize(
    ("names", "memory", "message"),
    [
        (["pynq"], None, "ran on pynq, which gives no times of instructions"),
        (["sim", "tsim"], None, "ran on sim, tsim; vta.profile must be told"),
        (["tsim"], None, "the DRAM of the device tsim has a timing that is not known here"),
    ],
)
def test_devices_that_do_not_say_what_gives_the_times(names, memory, message):
    device = LocalSession(TINY.replace(target="sim")).ext_dev(0)
    module = vadd_module()
    with vta.profile(memory=memory) as p:
        for name in names:
            arrays, _ = vadd_arrays(Elsewhere(device, name))
            module(*arrays)
    with pytest.raises(DeviceError, match=message):
        p.summary()


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
