"""Looking at many things: one thread where nothing is waited for, several where something is."""

from __future__ import annotations

import threading

import pytest

from mlform.refresh.abreast import abreast


def test_what_each_look_gave_comes_in_order_whichever_was_first() -> None:
    met = threading.Barrier(4, timeout=60)

    def look(at: int) -> int:
        met.wait()  # with fewer than four threads nobody would ever get on
        return at * at

    assert abreast(look, range(8), 4) == [at * at for at in range(8)]
    assert abreast(look, [], 4) == []


def test_there_are_never_more_threads_than_told() -> None:
    there, seen, guard = set[int](), set[int](), threading.Lock()
    met = threading.Barrier(2, timeout=60)

    def look(_at: int) -> None:
        one = threading.get_ident()
        with guard:
            there.add(one)
            seen.add(len(there))
        met.wait()
        with guard:
            there.discard(one)

    abreast(look, range(20), 2)
    assert seen == {1, 2}


def test_one_thread_gets_on_by_itself_where_nothing_is_waited_for() -> None:
    assert abreast(str, range(1000), 1) == [str(at) for at in range(1000)]


def test_a_look_that_fails_is_told_and_nothing_more_is_begun() -> None:
    begun: list[int] = []

    def look(at: int) -> None:
        begun.append(at)
        if at == 2:
            raise KeyError(at)

    with pytest.raises(KeyError, match="2"):
        abreast(look, range(1000), 1)
    assert begun == [0, 1, 2]
