"""One BLAS thread around the model's products, and nowhere else."""

import os
import subprocess
import sys

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from vta.config import VTAConfig
from vta.isa import Finish, Gemm
from vta.sim.memory import Memory
from vta.sim.reference import gemm
from vta.sim.reference.blas import one_blas_thread
from vta.sim.reference.model import ReferenceModel


def threads() -> set[int]:
    info = ThreadpoolController().select(user_api="blas").info()
    return {library["num_threads"] for library in info}


@pytest.fixture(autouse=True)
def three_threads():
    """The process uses three BLAS threads, however many cores there are."""
    if not threads():
        pytest.skip("this NumPy has no BLAS with a number of threads")
    with threadpool_limits(3, user_api="blas"):
        assert threads() == {3}
        yield


def test_a_product_of_the_model_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[int]] = []
    matmul = np.matmul

    def look(*operands):
        seen.append(threads())
        return matmul(*operands)

    monkeypatch.setattr(gemm.np, "matmul", look)
    one = Gemm(uop_bgn=0, uop_end=1, iter_out=1, iter_in=1)
    model = ReferenceModel(VTAConfig.preset("tiny"))
    model.run([one, one, Finish()], Memory.zeros(0x1000, 64))
    assert seen == [{1}, {1}]
    assert threads() == {3}


def test_an_error_gives_the_threads_back() -> None:
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        raise ZeroDivisionError
    assert threads() == {3}


SIDE_BY_SIDE = """
import threading
import numpy
from threadpoolctl import ThreadpoolController
from vta.sim.reference.blas import one_blas_thread

def threads():
    return {one["num_threads"] for one in ThreadpoolController().select(user_api="blas").info()}

def work():
    for _ in range(50):
        begin.wait()
        with one_blas_thread():
            seen.append(threads())

before, seen, begin = threads(), [], threading.Barrier(4)
workers = [threading.Thread(target=work) for _ in range(4)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print(all(number == {1} for number in seen), len(seen), threads() == before)
"""


def test_models_side_by_side_give_the_threads_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIDE_BY_SIDE],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "True 200 True"
