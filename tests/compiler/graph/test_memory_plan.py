"""The plan of device memory: tensors that are live together never overlap."""

from hypothesis import given
from hypothesis import strategies as st

from vta.compiler.graph.memory_plan import LiveRange, plan
from vta.network import PAGE


@st.composite
def live_ranges(draw):
    first = draw(st.integers(-1, 20))
    return LiveRange(draw(st.integers(1, 5 * PAGE)), first, first + draw(st.integers(0, 10)))


@given(st.lists(live_ranges(), max_size=12))
def test_no_overlap(ranges):
    named = {str(number): live for number, live in enumerate(ranges)}
    offsets, size = plan(named)
    assert offsets.keys() == named.keys()
    for name, live in named.items():
        assert offsets[name] % PAGE == 0
        assert offsets[name] + live.nbytes <= size
        for other, later in named.items():
            together = {*range(live.first, live.last + 1)} & {*range(later.first, later.last + 1)}
            if name != other and together:
                apart = (
                    offsets[name] + live.nbytes <= offsets[other]
                    or offsets[other] + later.nbytes <= offsets[name]
                )
                assert apart, (name, other)


def test_a_chain_needs_two_buffers():
    chain = {str(number): LiveRange(PAGE, number, number + 1) for number in range(10)}
    assert plan(chain)[1] == 2 * PAGE
