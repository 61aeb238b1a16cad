"""Where a step runs and what it asks for, in words."""

from __future__ import annotations

from mlform.demand import LOCAL, Demand, size


def demand(it: Demand) -> str:
    """Say it on one line; nothing where nothing was asked for."""
    found = [f"on {it.executor}"] if it.executor != LOCAL else []
    found += [f"{it.cpu:g} CPU{'s' if it.cpu != 1 else ''}"] if it.cpu else []
    found += [f"{it.gpu:g} GPU{'s' if it.gpu != 1 else ''}"] if it.gpu else []
    found += [size(it.memory)] if it.memory else []
    found += [f"at most {it.timeout:g} s"] if it.timeout is not None else []
    found += [f"up to {it.attempts} attempts"] if it.attempts > 1 else []
    found += [f"pool {', '.join(it.pools)}"] if it.pools else []
    return " · ".join(found)
