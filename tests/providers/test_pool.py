"""Workers where there is no process to be had, and where nobody waits for them any more."""

import asyncio
import os
import signal
import sys

import pytest
from tests.providers.serving_bench import DEADLY, Deadly, body, bundle, fitted, table
from tests.providers.test_serving import children

from mlform.sdk import ResourceError
from mlform_core.serving import prepared, settings
from mlform_core.serving.pool import Pool


class Pausing(Deadly):
    """Never answers a row of a certain kind."""

    def predict_proba(self, X):  # noqa: N803 - as scikit-learn has it
        if (X[:, -4] > DEADLY).any():
            signal.pause()
        return super().predict_proba(X)


@pytest.fixture
def folder(life):
    artifact = bundle(life.ctx, model=fitted(last=Pausing), format="pickle", framework="tests")
    found = settings.bundle(life.ctx.home, artifact.digest)
    found.mkdir(parents=True)
    life.ctx.artifacts.checkout(artifact.digest, settings.model(found))
    prepared.prepare(found, artifact.digest, 1e-4, graph=False, allow_pickle=True)
    return found


def columns(radius=15.0):
    found = {t["name"]: t["data"] for t in body(table()[:1])["inputs"]}
    return {**found, "mean radius": [radius]}


def pool(folder):
    return Pool(folder, None, list(columns()), 1, 1000, pickle=True)


async def until(done):
    async with asyncio.timeout(60):
        while not done():  # noqa: ASYNC110 - what processes do is no event here
            await asyncio.sleep(0.01)


def test_a_worker_comes_again_once_a_process_can_be_had(folder, monkeypatch):
    there = set(children(os.getpid()))

    async def run():
        workers = pool(folder)
        await workers.start()
        (worker,) = set(children(os.getpid())) - there
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", "/nowhere/python")
            os.kill(worker, signal.SIGKILL)
            await until(lambda: workers.restarts >= 2)
            assert workers.alive == 0
        async with asyncio.timeout(60):
            assert len((await workers.predict(columns(), 1)).values) == 1
        await workers.close()

    asyncio.run(run())


def test_the_first_workers_that_cannot_be_started_are_told_of(folder, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    async def run():
        async with asyncio.timeout(60):
            await pool(folder).start()

    with pytest.raises(ResourceError, match=r"Server did not start.*/nowhere/python"):
        asyncio.run(run())


def test_workers_end_that_compute_for_nobody(folder):
    async def run():
        workers = pool(folder)
        await workers.start()
        asked = asyncio.create_task(workers.predict(columns(2 * DEADLY * 1000), 1))
        await asyncio.sleep(0)
        await until(lambda: workers.waiting == 0)
        asked.cancel()
        async with asyncio.timeout(60):
            await workers.close()

    asyncio.run(run())
