"""Whether a split divides each stratum as it divides all: counted, and mended by another seed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from mlform.sdk import Artifact, Context, ResourceError
from mlform_core.partitions import stored
from mlform_core.splits import StratifiedSplit, in_order, keys_of, part_of

if TYPE_CHECKING:
    import pyarrow as pa

_MOST: Final = 50
"""So many strata at most: more are no strata."""
_HASHES: Final = 3_000_000
_SEEDS: Final = 200
_TOLD: Final = 5


def balanced(
    ctx: Context, split: StratifiedSplit, columns: Iterable[str], partitions: Iterable[Artifact]
) -> dict[str, dict[str, int]]:
    """Return rows by stratum and part. Raises ``ResourceError`` where any is off by too much."""
    if missing := [n for n in split.strata if n not in columns]:
        detail = f"There is no column {missing[0]}; there are {', '.join(columns)}."
        raise ResourceError("Unknown column", detail, argument="split")
    tables = list(partitions)
    counts: dict[str, Counter[str]] = {}
    for table in tables:
        for stratum, parts in _counted(ctx, split, table).items():
            counts.setdefault(stratum, Counter()).update(parts)
        if len(counts) > _MOST:
            detail = (
                f"{', '.join(split.strata)} tells more than {_MOST} strata apart. Name columns "
                "of few values: a class, a bin."
            )
            raise ResourceError("Too many strata", detail, argument="split")
    wrong = list(_wrong(split, counts))
    if wrong:
        more = f"\n… and {len(wrong) - _TOLD} more" if len(wrong) > _TOLD else ""
        detail = "\n".join(wrong[:_TOLD]) + more + "\n" + _advice(ctx, split, tables)
        raise ResourceError("Strata are not balanced", detail, argument="split")
    return {s: {p: counts[s][p] for p in sorted(split.parts)} for s in sorted(counts)}


def _counted(ctx: Context, split: StratifiedSplit, table: Artifact) -> dict[str, dict[str, int]]:
    what = {"strata": table.digest, "columns": split.strata, "version": 1}

    def count() -> bytes:
        from mlform_core.tables import SPLIT

        found: dict[str, Counter[str]] = {}
        rows = stored(ctx, table)
        pairs = zip(_strata(rows, split), rows[SPLIT].to_pylist(), strict=True)
        for (stratum, part), number in Counter(pairs).items():
            found.setdefault(stratum, Counter())[part] += number
        return json.dumps(found, sort_keys=True).encode()

    counted: dict[str, dict[str, int]] = json.loads(
        ctx.artifacts.read(ctx.memo(what, count).digest)
    )
    return counted


def _strata(rows: pa.Table, split: StratifiedSplit) -> list[str]:
    columns = [[_said(v) for v in rows[name].to_pylist()] for name in split.strata]
    names = split.strata
    return [
        ", ".join(f"{n}={v}" for n, v in zip(names, values, strict=True))
        for values in zip(*columns, strict=True)
    ]


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "(missing)" if value is None else str(value)


def _wrong(split: StratifiedSplit, counts: Mapping[str, Mapping[str, int]]) -> Iterable[str]:
    for stratum in sorted(counts):
        rows = sum(counts[stratum].values())
        for part, share in split.parts.items():
            found = counts[stratum].get(part, 0) / rows
            if rows >= split.min_rows and abs(found - share) > split.tolerance:
                yield (
                    f"{stratum} ({rows:,} rows) has {found:.1%} in {part}, {share:.1%} is asked "
                    f"for, and {split.tolerance:.1%} more or less is tolerated."
                )


def _advice(ctx: Context, split: StratifiedSplit, tables: Iterable[Artifact]) -> str:
    """Name the seed that divides the strata best, of some that are tried."""
    keys: dict[str, Counter[str]] = {}
    for table in tables:
        rows = stored(ctx, table)
        told = keys_of(rows, split.on).to_pylist()
        for key, stratum in zip(told, _strata(rows, split), strict=True):
            keys.setdefault(str(key), Counter())[stratum] += 1
    whole: Counter[str] = Counter()
    for strata in keys.values():
        whole.update(strata)
    large = [s for s, rows in whole.items() if rows >= split.min_rows]
    shares = in_order(split.parts)

    def worst(seed: int) -> float:
        found = {(s, p): 0 for s in large for p in shares}
        for key, strata in keys.items():
            part = part_of(key, seed, shares)
            for stratum, rows in strata.items():
                if (stratum, part) in found:
                    found[stratum, part] += rows
        return max(abs(n / whole[s] - shares[p]) for (s, p), n in found.items())

    tried = range(max(2, min(_SEEDS, _HASHES // len(keys))))
    ctx.progress(0, None, f"trying {len(tried)} seeds")
    off, seed = min((worst(seed), seed) for seed in tried)
    if off <= split.tolerance:
        return (
            f"With seed = {seed} every stratum is within {off:.1%}. Another seed divides the rows "
            "anew: choose it before anything is trained."
        )
    return (
        f"Of {len(tried)} seeds the best, {seed}, is off by {off:.1%}. Allow a larger tolerance, "
        "or raise min_rows: small strata cannot be divided so evenly."
    )
