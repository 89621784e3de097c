"""The token queues: names, ends and flags, written down by hand."""

import pytest

from vta.isa import TOKEN_FLAGS, TOKEN_QUEUES, PipelineModule, TokenCounts, token_queue

LOAD, COMPUTE, STORE = PipelineModule


def test_queues_by_hand():
    assert [
        (queue.name, queue.source, queue.push_flag, queue.target, queue.pop_flag)
        for queue in TOKEN_QUEUES
    ] == [
        ("l2g", LOAD, "push_next", COMPUTE, "pop_prev"),
        ("g2l", COMPUTE, "push_prev", LOAD, "pop_next"),
        ("g2s", COMPUTE, "push_next", STORE, "pop_prev"),
        ("s2g", STORE, "push_prev", COMPUTE, "pop_next"),
    ]
    assert list(TokenCounts(1, 2, 3, 4).as_dict().items()) == [
        ("l2g", 1), ("g2l", 2), ("g2s", 3), ("s2g", 4),
    ]  # fmt: skip


def test_flags_of_a_module_are_those_towards_its_neighbours():
    assert TOKEN_FLAGS == {
        LOAD: ("pop_next", "push_next"),
        COMPUTE: ("pop_next", "pop_prev", "push_next", "push_prev"),
        STORE: ("pop_prev", "push_prev"),
    }


def test_load_and_store_have_no_queue_for_each_other():
    assert token_queue(COMPUTE, STORE).name == "g2s"
    for ends in ((LOAD, STORE), (STORE, LOAD), (LOAD, LOAD)):
        with pytest.raises(KeyError):
            token_queue(*ends)
