"""Who makes the result of a key, among those that use one artifact store."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlform.artifacts.blobs import LocalBlobs
from mlform.refresh import claims
from mlform.refresh.claims import Claims

ABOUT = {"address": "training_job.a", "folder": "/here"}


@pytest.fixture
def another(tmp_path: Path) -> Callable[[], Claims]:
    return lambda: Claims(LocalBlobs(tmp_path))


def files(root: Path) -> list[Path]:
    return sorted((root / "claims").iterdir())


def test_one_at_a_time_and_who_waits_is_told(another: Callable[[], Claims], tmp_path: Path) -> None:
    said, never, told = list[str](), threading.Event(), threading.Event()

    def say(text: str) -> None:
        said.append(text)
        told.set()

    def second() -> bool:
        with another().made("k", ABOUT, say, never) as waited:
            return waited

    with ThreadPoolExecutor(1) as pool:
        with another().made("k", ABOUT, print, never) as waited:
            assert not waited
            joining = pool.submit(second)
            assert told.wait(30)
            with another().made("other", ABOUT, print, never) as waits:
                assert not waits
        assert joining.result(30)
    assert len(said) == 1
    assert said[0].startswith("training_job.a in /here (") and "waiting for it" in said[0]
    assert files(tmp_path) == []


def test_whoever_is_asked_to_stop_waits_no_longer(
    another: Callable[[], Claims], tmp_path: Path
) -> None:
    stop = threading.Event()
    with another().made("k", ABOUT, print, threading.Event()):
        (file,) = files(tmp_path)
        mine = file.read_bytes()
        with another().made("k", ABOUT, lambda _text: stop.set(), stop) as waited:
            assert waited
        assert file.read_bytes() == mine, "what was not had is not given back"


def test_what_the_dead_left_is_taken_at_once(another: Callable[[], Claims], tmp_path: Path) -> None:
    with another().made("k", ABOUT, print, threading.Event()):
        (file,) = files(tmp_path)
        claim = json.loads(file.read_text())
    dead = json.dumps(json.loads(claim["holder"]) | {"pid": 2**22 + 1})
    file.write_text(json.dumps(claim | {"holder": dead}))
    said: list[str] = []
    with another().made("k", ABOUT, said.append, threading.Event()) as waited:
        assert waited
    assert len(said) == 1 and "ended without a result: it is made here" in said[0]


@pytest.mark.parametrize("text", ["", "{", '{"holder": "{}"}', "elsewhere"])
def test_what_beats_no_more_is_taken_after_a_while(
    another: Callable[[], Claims], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """It was cut off in being written, or is of a machine that nobody here can look at."""
    monkeypatch.setattr(claims, "QUIET", 0.2)
    with another().made("k", ABOUT, print, threading.Event()):
        (file,) = files(tmp_path)
        claim = json.loads(file.read_text())
    far = json.dumps(json.loads(claim["holder"]) | {"host": "far"})
    file.write_text(json.dumps(claim | {"holder": far}) if text == "elsewhere" else text)
    said: list[str] = []
    with another().made("k", ABOUT, said.append, threading.Event()) as waited:
        assert waited
    assert "ended without a result" in said[-1]


def test_who_lost_a_claim_learns_of_it_and_leaves_that_of_another(
    another: Callable[[], Claims], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "BEAT", 0.01)
    slow = another()
    with slow.made("k", ABOUT, print, threading.Event()):
        (file,) = files(tmp_path)
        beaten = json.loads(file.read_text())["beat"]
        while json.loads(file.read_text() or "{}").get("beat", beaten) == beaten:
            pass
        while not slow.lost("k"):  # a beat that had looked already puts it there once more
            file.unlink(missing_ok=True)
        file.unlink(missing_ok=True)
        with another().made("k", ABOUT, print, threading.Event()) as waited:
            assert not waited
    assert files(tmp_path) == []
