"""How many steps run at once: by executor, by pool, by what the local machine has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from functools import cache
from typing import TypeVar

from mlform.address import Address
from mlform.apply.devices import Devices, named
from mlform.apply.walk import GPU, Room
from mlform.demand import LOCAL, Capacity, Demand, runs_here
from mlform.execute import MOST_AHEAD
from mlform.plan import Action, Plan, Step

K = TypeVar("K", bound=Hashable)
_ASKS_NOTHING = {Action.NO_OP, Action.REUSE, Action.FORGET, Action.DESTROY}
_JOBS = 16
"""How many jobs of one engine go on at once where its block does not say."""


def room(
    plan: Plan,
    parallelism: int,
    machine: Capacity,
    gpus: Sequence[str],
    step_of: Callable[[K], Step | None],
    approved: Collection[Address] = (),
    ahead: Callable[[], int] = lambda: 0,
) -> Room[K]:
    """Return the room that the steps of a plan share; ``machine`` and ``gpus`` are what is here.

    What is declared of the local executor stands for what the machine has. A key without a step
    takes no more than its turn. What is held goes on where it is ``approved``. ``ahead`` says how
    many steps more may be made ready, since those before them are over within moments.
    """
    lanes = {LOCAL: parallelism}
    for name, declared in plan.executors.items():
        if declared.type != LOCAL:
            lanes[name] = max(1, declared.settings.get("jobs", _JOBS))
    said = plan.executors[LOCAL].settings if LOCAL in plan.executors else {}
    here = {**vars(machine), **said}
    sizes: dict[str, float] = {f"lane {n}": number for n, number in lanes.items()}
    sizes |= {f"pool {n}": slots for n, slots in plan.pools.items()}
    sizes |= {n: size for n in ("cpu", GPU, "memory") if (size := here.get(n)) is not None}

    def demand_of(key: K) -> Demand | None:
        step = step_of(key)
        if step is None or step.action in _ASKS_NOTHING:
            return None
        held = step.action is Action.HELD and step.address not in approved
        return None if held else step.demand

    @cache  # asked several times for each key, and always the same
    def lane(key: K) -> str:
        demand = demand_of(key)
        name = LOCAL if demand is None else demand.executor
        return f"lane {name if name in lanes else LOCAL}"

    @cache
    def takes(key: K) -> Mapping[str, float]:
        found: dict[str, float] = {lane(key): 1}
        if (demand := demand_of(key)) is None:
            return found
        found |= {f"pool {n}": 1 for n in demand.pools}
        if runs_here(demand, plan.executors):
            asked = {"cpu": demand.cpu, "memory": demand.memory or 0}
            # A job that outlives mlform would keep devices that nobody knows of any more.
            asked |= {GPU: demand.gpu} if demand.executor == LOCAL else {}
            # What is more than there is was refused; a smaller machine than then runs it alone.
            found |= {n: min(a, sizes.get(n, a)) for n, a in asked.items() if a}
        return found

    here_at_once = f"lane {LOCAL}"
    return Room(
        sizes,
        takes,
        lane,
        threads=sum(lanes.values()) + MOST_AHEAD,
        more=lambda name: ahead() if name == here_at_once else 0,
        devices=Devices(named(gpus, here[GPU] or 0)),
    )
