"""Signals inside a design, by path."""

import pytest
from amaranth.hdl import Elaboratable, Module, Signal

from vta.hw.debug.signal_paths import SignalPaths


class Child(Elaboratable):
    """Drives ``out``, and two signals that are both called ``twin``."""

    def __init__(self):
        self.out, self.twins = Signal(name="out"), [Signal(name="twin"), Signal(name="twin")]

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.out.eq(1)
        m.d.sync += [twin.eq(~twin) for twin in self.twins]
        return m


class Parent(Elaboratable):
    """Has a child."""

    def __init__(self):
        self.child, self.mine = Child(), Signal(name="mine")

    def elaborate(self, platform):
        m = Module()
        m.submodules.child = self.child
        m.d.sync += self.mine.eq(self.child.out)
        return m


def test_signals_are_found_where_they_are_driven():
    parent = Parent()
    paths = SignalPaths(parent)
    assert paths["mine"] is parent.mine
    assert paths["child.out"] is parent.child.out


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("child.twin", "two signals are called 'child.twin'"),
        ("child.in", "no signal 'child.in'; beside it: child.out, child.twin"),
        ("other.out", "no signal 'other.out'; beside it: none"),
    ],
)
def test_paths_without_one_signal_are_refused(path, message):
    with pytest.raises(KeyError) as caught:
        SignalPaths(Parent())[path]
    assert message in str(caught.value)
