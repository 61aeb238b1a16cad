"""Dataclasses that are made when first used are what the standard library's are."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mlform import lazy

BODY = """
from typing import ClassVar, Any

@dataclass(frozen={frozen})
class Base:
    a: int
    b: str = "b"
    c: list = field(default_factory=list, repr=False)
    d: float = field(default=0.5, compare=False)
    n: ClassVar[int] = 3

@dataclass(frozen={frozen})
class Sub(Base):
    e: int = field(default=1, init=False)
    f: Any = field(default=None, kw_only=True)

    def both(self):
        return (self.a, self.f)

@dataclass(frozen={frozen}, eq=False)
class Same:
    a: int

class Plain(Sub):
    pass

@dataclass
class After:
    a: int
    b: int = 0
    def __post_init__(self):
        self.b = self.a + 1
"""


def made(dataclass: Any, *, frozen: bool) -> dict[str, Any]:
    names = {"dataclass": dataclass, "field": dataclasses.field, "__name__": __name__}
    exec(compile(BODY.format(frozen=frozen), __name__, "exec", dont_inherit=True), names)  # noqa: S102 - the text above
    return names


@pytest.mark.parametrize("frozen", [True, False])
def test_they_are_what_the_standard_library_makes(frozen: bool) -> None:
    ours, theirs = (made(it, frozen=frozen) for it in (lazy.dataclass, dataclasses.dataclass))

    def seen(names: dict[str, Any]) -> list[Any]:
        base, sub, plain = names["Base"], names["Sub"], names["Plain"]
        objects = [base(1), base(1, d=2.0), base(2, "x", [1]), sub(1, f=2), plain(3)]
        objects += [names["Same"](1), names["Same"](1), names["After"](4)]
        objects += [dataclasses.replace(objects[2], a=9), copy.copy(objects[3])]
        found: list[Any] = [repr(it) for it in objects]
        found += [[one == other for other in objects] for one in objects]
        found += [dataclasses.asdict(it) for it in objects]
        found += [[f.name for f in dataclasses.fields(it)] for it in (sub, base, plain)]
        found += [sub.__match_args__, base.n, base.b, hasattr(base, "c"), sub(1, f=2).both()]
        for it in objects:
            for what in (hash, lambda o: setattr(o, "a", 5), lambda o: delattr(o, "a")):
                try:
                    what(it)
                    found.append("done")
                except (TypeError, AttributeError) as error:
                    found.append((type(error), str(error).partition(":")[0]))
        wrong = [((), {}), ((1, 2, 3, 4, 5, 6), {}), ((1,), {"nix": 1}), ((1,), {"n": 1})]
        for given, named in wrong:
            with pytest.raises(TypeError) as told:
                sub(*given, **named)
            found.append(str(told.value))
        return found

    assert seen(ours) == seen(theirs)


@pytest.mark.parametrize("frozen", [True, False])
def test_later_objects_are_made_as_the_first_are(frozen: bool) -> None:
    names = made(lazy.dataclass, frozen=frozen)
    for many in (lambda n: names["Sub"](n, f=n), lambda n: names["After"](a=n)):
        objects = [many(n) for n in range(20)]
        assert len({tuple(vars(it)) for it in objects}) == 1
        assert [it.a for it in objects] == list(range(20))
    assert [it.b for it in objects] == list(range(1, 21))
    assert names["Base"](1).c is not names["Base"](2).c


def test_an_object_like_another() -> None:
    ours = made(lazy.dataclass, frozen=True)
    for it in (ours["Sub"](1, "x", f=2), ours["Same"](1), ours["After"](4), ours["Plain"](3)):
        for change in ({}, {"a": 9}):
            like = lazy.replace(it, **change)
            assert type(like) is type(it)
            assert repr(like) == repr(dataclasses.replace(it, **change))
    for wrong in ({"e": 3}, {"nix": 1}):
        with pytest.raises((ValueError, TypeError)):
            lazy.replace(ours["Sub"](1), **wrong)


def test_equal_objects_have_equal_hashes() -> None:
    base = made(lazy.dataclass, frozen=True)["Base"]
    assert hash(base(1, c=())) == hash(base(1, c=(), d=9.0)) != hash(base(2, c=()))


@lazy.dataclass(frozen=True)
class Packed:
    a: int


def test_an_object_may_come_without_its_constructor() -> None:
    first, second = (object.__new__(Packed) for _ in range(2))
    for it in (first, second):
        it.__dict__["a"] = 1
    assert first == second
    assert hash(first) == hash(second)
    assert repr(first) == "Packed(a=1)"
    assert pickle.loads(pickle.dumps(Packed(1))) == first  # noqa: S301 - packed here


def test_many_threads_make_the_first_object() -> None:
    for _ in range(50):
        sub = made(lazy.dataclass, frozen=True)["Sub"]
        start = threading.Barrier(4)

        def make(number: int, sub: Any = sub, start: threading.Barrier = start) -> Any:
            start.wait()
            return sub(number, f=number)

        with ThreadPoolExecutor(4) as pool:
            assert [it.both() for it in pool.map(make, range(4))] == [(n, n) for n in range(4)]
