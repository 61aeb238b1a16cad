"""Which facets of an input moved, and in which of its parts: reasons that name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlform.lazy import replace
from mlform.plan.model import Reason
from mlform.sdk.fields import Facets
from mlform.values import Handle, Used, canonical, handles, tagged

_MOST_NAMES: Final = 3


def moved_facets(before: Any, after: Any, at: str) -> list[Reason]:
    """Return a reason for each input of which only the facets taken moved.

    None at all where anything else of the argument differs: then the argument itself changed. An
    input that is what it was is none either: other arguments say why more or less of it is taken.
    """
    was = {(h.address, h.attribute): h for h in handles(before)}
    now = {(h.address, h.attribute): h for h in handles(after)}
    if was.keys() != now.keys() or _bare(before) != _bare(after):
        return []
    reasons = []
    for place, handle in now.items():
        old = was[place]
        if old.counted == handle.counted:
            continue
        if old.used is None or handle.used is None:
            return []
        if old.digest != handle.digest:
            subject = _subject(handle, old.used.facets, handle.used.facets, old.used, handle.used)
            reasons.append(Reason("input", subject, _slim(old), _slim(handle), at))
    return reasons


def moved_judged(before: Any, after: Any, at: str) -> list[Reason]:
    """Return a reason for each input of which facets moved that only a decision takes."""
    was = {(h.address, h.attribute): h for h in handles(before)}
    reasons = []
    for handle in handles(after):
        old = was.get((handle.address, handle.attribute))
        if old is None or old.used is None or handle.used is None or old.digest == handle.digest:
            continue
        if old.used.judged != handle.used.judged:
            subject = _subject(handle, old.used.judged, handle.used.judged, old.used, handle.used)
            reasons.append(Reason("decision", subject, _slim(old), _slim(handle), at))
    return reasons


def _bare(data: Any) -> str:
    """Write what stands around handles."""
    return canonical(_without_digests(data))


def _without_digests(data: Any) -> Any:
    if found := [h for h in handles(data) if data == tagged(h)]:
        return tagged(replace(found[0], digest="", used=None, artifact=None))
    if isinstance(data, Mapping):
        return {k: _without_digests(v) for k, v in data.items()}
    if isinstance(data, list):
        return [_without_digests(v) for v in data]
    return data


def _slim(handle: Handle) -> Any:
    return tagged(replace(handle, used=None))


def _subject(
    handle: Handle, was: Mapping[str, str], now: Mapping[str, str], old: Used, new: Used
) -> str:
    """Name facets and parts: ``dataset.loans.income, partition 2013-07``."""
    facets = telling(_differing(was, now))
    parts = _differing(old.parts, new.parts)
    named = f"{handle.address}.{facets[0]}"
    if len(facets) > 1:
        named = f"{handle.address}: {listed(facets)}"
    if not parts or set(parts) == set(old.parts) == set(new.parts):
        return named
    word = "partition" if len(parts) == 1 else "partitions"
    return f"{named}, {word} {listed(parts)}"


def _differing(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return [name for name in dict.fromkeys([*new, *old]) if old.get(name) != new.get(name)]


def differing(before: Facets, after: Facets) -> list[str]:
    """Return the facets of which the digests differ, those of what came after first."""
    was, now = before.digests, after.digests
    return [n for n in dict.fromkeys([*now, *was]) if was.get(n) != now.get(n)]


def telling(facets: list[str]) -> list[str]:
    """Leave out facets that their type keeps for itself, ``_split``, where others say it too."""
    return [name for name in facets if not name.startswith("_")] or facets


def listed(names: list[str]) -> str:
    """Return some names, and how many more there are."""
    shown = ", ".join(names[:_MOST_NAMES])
    more = len(names) - _MOST_NAMES
    return shown if more <= 0 else f"{shown} and {more} more"
