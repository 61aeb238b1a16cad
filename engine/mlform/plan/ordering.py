"""In which order things go: nothing loses what it stands on while it stands.

What goes is what an orphan was, and what a replacement takes the place of. Dependants that go, go
first. Dependants that stay let go first: they are updated, and then what they used is destroyed.
Where a replacement must be destroyed before it is made anew, its dependants come after, as they
take values from the new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from graphlib import CycleError, TopologicalSorter
from typing import Final

from mlform.address import Address
from mlform.lazy import dataclass, field, replace
from mlform.plan.model import QUIET, Action, Going, Step
from mlform.plan.nodes import waits
from mlform.state.model import Record, home_of

LEAVING: Final = frozenset({Action.DESTROY, Action.FORGET})
_IN_PLACE: Final = frozenset({Action.UPDATE, Action.REPLACE})
"""Actions on what is already there; anything else makes something new beside it."""


def ordered(
    steps: Sequence[Step],
    records: Mapping[Address, Record],
    may_replace: Callable[[Step], bool],
    used: AbstractSet[Address] = frozenset(),
) -> list[Step]:
    """Return the steps, each with all that it waits for.

    ``may_replace`` tells of a step that only applying can settle whether it may come to replace
    what is recorded. What is ``used`` by something that is not planned now and stays as it is
    does not go once its replacement is made: it is left behind, for the plan of what uses it.
    """
    main = {s.address: s for s in steps if not s.deposed}
    left = {a for a, s in main.items() if s.action in LEAVING}
    there = {a for a, s in main.items() if a in records or (s.imported and s.create_first)}
    there -= {a for a in used & there if main[a].create_first}
    swapped = {a for a in there if main[a].action is Action.REPLACE}
    open_ = {a for a in there if main[a].create_first and may_replace(main[a])}
    if not left and not swapped and not open_ and len(main) == len(steps):
        return list(steps)
    order = _Order(main, records, left, swapped | open_)
    order.arrange()
    found = [order.step(s) for s in steps]
    return found if len(main) == len(steps) else _after_left_behind(found, records)


def _after_left_behind(steps: Sequence[Step], records: Mapping[Address, Record]) -> list[Step]:
    """Have what goes wait for what was left behind and is made from it, where that can be."""
    swaps = {s.address for s in steps if s.old is not None}
    users: dict[Address, set[Address]] = {}
    for step in steps:
        if step.deposed and step.address not in swaps:
            old = next(d for d in records[step.address].deposed if home_of(d) == step.deposed)
            for needed in old.needs:
                users.setdefault(needed, set()).add(step.address)
    pairs = [
        (at, user)
        for at, step in enumerate(steps)
        for user in sorted(users.get(step.address, set()) - {step.address})
    ]
    found = list(steps)
    for at, user in pairs:
        found[at] = _once_cleared(found[at], user)
    if _acyclic(found):
        return found
    found = list(steps)
    for at, user in pairs:
        before, found[at] = found[at], _once_cleared(found[at], user)
        if not _acyclic(found):
            found[at] = before
    return found


def _acyclic(steps: Sequence[Step]) -> bool:
    try:
        TopologicalSorter(waits(steps)).prepare()
    except CycleError:
        return False
    return True


def _once_cleared(step: Step, user: Address) -> Step:
    """Return a step whose object goes once the old objects of another have gone."""
    if step.old is not None:
        return replace(step, old=replace(step.old, cleared=_with(step.old.cleared, user)))
    goes = step.deposed or step.action in LEAVING
    return replace(step, cleared=_with(step.cleared, user)) if goes else step


def _with(addresses: Iterable[Address], more: Address) -> tuple[Address, ...]:
    return tuple(sorted({*addresses, more}))


@dataclass
class _Order:
    main: Mapping[Address, Step]
    records: Mapping[Address, Record]
    left: set[Address]
    replaced: set[Address]
    waits: dict[Address, set[Address]] = field(default_factory=dict)
    """What goes → steps that must be over before."""
    cleared: dict[Address, set[Address]] = field(default_factory=dict)
    """What goes → steps whose old objects must be gone before."""
    before: dict[Address, set[Address]] = field(default_factory=dict)
    """Step → what must be gone before it begins."""

    def __post_init__(self) -> None:
        self.users: dict[Address, list[Address]] = {}
        for address, record in self.records.items():
            for needed in record.needs:
                self.users.setdefault(needed, []).append(address)

    def arrange(self) -> None:
        going = self.left | self.replaced
        for address in going:
            users = self._users(address)
            first = address in self.replaced and self.main[address].create_first
            self.waits[address] = users & self.left
            self.cleared[address] = users & self.replaced
            if address in self.left or first:
                self.waits[address] |= {u for u in users - self.left if self._acts(u)}
                if address in self.left:
                    # Its old object is gone, so the new one has never used what goes.
                    certain = {u for u in users & self.replaced if not self.main[u].create_first}
                    self.waits[address] -= certain
        self._untangle()
        self._go_before()

    def _acts(self, address: Address) -> bool:
        return address in self.main and self.main[address].action not in QUIET

    def _users(self, address: Address) -> set[Address]:
        """Return what has used something, directly or through others that stay."""
        found: set[Address] = set()
        waiting = list(self.users.get(address, ()))
        while waiting:
            user = waiting.pop()
            if user not in found and user != address:
                found.add(user)
                if user not in self.left and user not in self.replaced:
                    waiting.extend(self.users.get(user, ()))
        return found

    def _untangle(self) -> None:
        """Let what stays be updated later, where it waits for something that is made anew."""
        anew = {a for a in self.replaced if not self.main[a].create_first}
        if not anew:
            return
        needed_by: dict[Address, list[Address]] = {}
        for address, step in self.main.items():
            if address not in self.left:
                for needed in step.needs:
                    needed_by.setdefault(needed, []).append(address)
        after = _reached(anew, lambda a: needed_by.get(a, ()))
        for address in _reached(anew, self._goes_after):
            self.waits[address] -= after - self.left

    def _go_before(self) -> None:
        """Have what is changed wait until what has used it, and goes, is gone."""
        for address in self._independent():
            for needed in _reached(self.records[address].needs, self._beneath):
                if needed in self.main and self.main[needed].action in _IN_PLACE:
                    self.before.setdefault(needed, set()).add(address)

    def _beneath(self, address: Address) -> Iterable[Address]:
        if address in self.left or address not in self.records:
            return ()
        return self.records[address].needs

    def _independent(self) -> set[Address]:
        """Return what can go whatever becomes of the steps that make things."""
        going = self.left | self.replaced
        waiting = {a for a in self.replaced if self.main[a].create_first}
        waiting |= {a for a in going if self.waits[a] - self.left}
        behind: dict[Address, list[Address]] = {}
        for address in going:
            for earlier in self._goes_after(address):
                behind.setdefault(earlier, []).append(address)
        return going - _reached(waiting, lambda a: behind.get(a, ()))

    def _goes_after(self, address: Address) -> set[Address]:
        return (self.waits[address] & self.left) | self.cleared[address]

    def step(self, step: Step) -> Step:
        if step.deposed:
            users = self._users(step.address)
            needs = {u for u in users if u in self.left or self._acts(u)}
            cleared = users & self.replaced
            return replace(step, needs=tuple(sorted(needs)), cleared=tuple(sorted(cleared)))
        address = step.address
        if address in self.left:
            needs, cleared = self.waits[address], self.cleared[address]
            return replace(step, needs=tuple(sorted(needs)), cleared=tuple(sorted(cleared)))
        before = self.before.get(address, set())
        needs = {*step.needs, *(before & self.left)}
        made = replace(step, needs=tuple(sorted(needs)), cleared=tuple(sorted(before - self.left)))
        if address not in self.replaced:
            return made
        going = Going(tuple(sorted(self.waits[address])), tuple(sorted(self.cleared[address])))
        return replace(made, old=going)


def _reached(
    starts: Iterable[Address], beyond: Callable[[Address], Iterable[Address]]
) -> set[Address]:
    found: set[Address] = set()
    waiting = list(starts)
    while waiting:
        address = waiting.pop()
        if address not in found:
            found.add(address)
            waiting.extend(beyond(address))
    return found
