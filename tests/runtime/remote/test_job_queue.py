"""The queue of jobs for the device: one at a time, in order, also when a caller is cancelled."""

import asyncio
import contextlib
import threading

import pytest

from vta.runtime.remote.job_queue import JobQueue


class Jobs:
    """Jobs that end when they are told to, and remember when they ran."""

    def __init__(self):
        self.log, self.at_once, self._go = [], 0, {}

    def job(self, name):
        self._go[name] = threading.Event()

        def work():
            self.at_once += 1
            assert self.at_once == 1
            self.log.append(name)
            assert self._go[name].wait(20)
            self.at_once -= 1
            return name

        return work

    def end(self, name):
        self._go[name].set()


async def start(queue, jobs, *names):
    """One task a job, in this order; the first runs when this returns."""
    tasks = []
    for name in names:
        tasks.append(asyncio.create_task(queue.do(jobs.job(name))))
        await asyncio.sleep(0)
    while not jobs.log:
        await asyncio.sleep(0.001)
    return tasks


def with_queue(test):
    async def main():
        queue = JobQueue(report_seconds=0.02)
        try:
            await asyncio.wait_for(test(queue, Jobs()), 30)
        finally:
            queue.close()

    asyncio.run(main())


def test_in_order():
    async def test(queue, jobs):
        tasks = await start(queue, jobs, *"abcd")
        for name in "dcba":
            jobs.end(name)
        assert await asyncio.gather(*tasks) == list("abcd")
        assert jobs.log == list("abcd")

    with_queue(test)


def test_a_cancelled_job_does_not_run_and_the_others_keep_their_order():
    async def test(queue, jobs):
        tasks = await start(queue, jobs, *"abcd")
        for left in (1, 2):
            tasks[left].cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await tasks[left]
        await asyncio.sleep(0.05)
        assert jobs.log == ["a"]
        for name in "ad":
            jobs.end(name)
        assert await tasks[3] == "d" and jobs.log == ["a", "d"]

    with_queue(test)


def test_the_next_begins_only_when_a_cancelled_job_has_ended():
    async def test(queue, jobs):
        tasks = await start(queue, jobs, *"ab")
        tasks[0].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tasks[0]
        await asyncio.sleep(0.05)
        assert jobs.log == ["a"]
        jobs.end("a")
        jobs.end("b")
        assert await tasks[1] == "b"

    with_queue(test)


def test_a_job_that_is_cancelled_when_it_may_run_lets_the_next_run():
    async def test(queue, jobs):
        tasks = await start(queue, jobs, *"abc")
        pass_on = queue._start_next

        def pass_on_and_cancel():
            queue._start_next = pass_on
            pass_on()
            tasks[1].cancel()

        queue._start_next = pass_on_and_cancel
        jobs.end("a")
        jobs.end("c")
        assert await tasks[2] == "c" and jobs.log == ["a", "c"]

    with_queue(test)


def test_a_client_that_does_not_read_delays_no_job():
    async def test(queue, jobs):
        told = asyncio.Event()

        async def tell(place):
            told.set()
            await asyncio.sleep(100)

        (running,) = await start(queue, jobs, "a")
        deaf = asyncio.create_task(queue.do(jobs.job("deaf"), tell))
        await told.wait()
        after = asyncio.create_task(queue.do(jobs.job("c")))
        await asyncio.sleep(0)
        for name in ("a", "deaf", "c"):
            jobs.end(name)
        await asyncio.gather(running, deaf, after)
        assert jobs.log == ["a", "deaf", "c"]

    with_queue(test)


def test_a_note_that_fails_leaves_the_line():
    async def test(queue, jobs):
        async def tell(place):
            raise ConnectionError

        (running,) = await start(queue, jobs, "a")
        with pytest.raises(ConnectionError):
            await queue.do(jobs.job("gone"), tell)
        jobs.end("a")
        await running
        assert await queue.do(lambda: "next") == "next" and jobs.log == ["a"]

    with_queue(test)


def test_errors_go_to_their_owner():
    async def test(queue, jobs):
        def fail():
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await queue.do(fail)
        assert await queue.do(lambda: 5) == 5

    with_queue(test)


def test_places_are_told_until_the_turn_comes():
    async def test(queue, jobs):
        heard = [], []

        async def first(place):
            heard[0].append(place)

        async def second(place):
            heard[1].append(place)

        (running,) = await start(queue, jobs, "a")
        waiting = [
            asyncio.create_task(queue.do(jobs.job("b"), first)),
            asyncio.create_task(queue.do(jobs.job("c"), second)),
        ]
        while len(heard[1]) < 2:
            await asyncio.sleep(0.01)
        jobs.end("a")
        while heard[1][-1] != 1:
            await asyncio.sleep(0.01)
        for name in "bc":
            jobs.end(name)
        await asyncio.gather(running, *waiting)
        assert set(heard[0]) == {1} and sorted(set(heard[1])) == [1, 2]

    with_queue(test)
