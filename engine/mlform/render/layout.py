"""Where the nodes of a graph stand: layered, left to right, few crossings, short edges.

The method of Sugiyama, Tagawa and Toda: layers, order within layers by barycentres, positions as
near to neighbours as the order allows. Parts that no edge connects are laid out by themselves and
put side by side.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import ceil, sqrt
from typing import Final

from mlform.lazy import dataclass, field

WIDTH: Final = 190.0
HEIGHT: Final = 50.0
ACROSS: Final = 52.0
"""Between one layer and the next."""
DOWN: Final = 16.0
"""Between one node and the next of a layer."""
_BEND: Final = 14.0
"""The room that an edge takes where it passes a layer."""
_SWEEPS: Final = 12
_TALLEST: Final = 24
"""A layer of more nodes than this takes several columns."""
_SHAPE: Final = 1.7
"""How much wider than high the whole should be."""

Edge = tuple[str, str]
Point = tuple[float, float]


@dataclass
class Layout:
    """Where nodes stand (their top left corners), and the points that each edge runs through."""

    nodes: dict[str, Point] = field(default_factory=dict)
    edges: dict[Edge, list[Point]] = field(default_factory=dict)
    width: float = 0.0
    height: float = 0.0


def layout(nodes: Sequence[str], edges: Iterable[Edge]) -> Layout:
    """Lay out an acyclic graph. Edges go from what is needed to what needs it."""
    known = set(nodes)
    kept = sorted({e for e in edges if e[0] in known and e[1] in known and e[0] != e[1]})
    parts = [_part(names, inner) for names, inner in _components(nodes, kept)]
    return _packed(parts)


def _components(nodes: Sequence[str], edges: Sequence[Edge]) -> list[tuple[list[str], list[Edge]]]:
    """Return the parts that no edge connects, the largest first."""
    parent = {n: n for n in nodes}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for a, b in edges:
        parent[root(b)] = root(a)
    members: dict[str, list[str]] = {}
    for name in nodes:
        members.setdefault(root(name), []).append(name)
    inner: dict[str, list[Edge]] = {r: [] for r in members}
    for edge in edges:
        inner[root(edge[0])].append(edge)
    return sorted(
        ((names, inner[r]) for r, names in members.items()), key=lambda part: -len(part[0])
    )


def _part(names: Sequence[str], edges: Sequence[Edge]) -> Layout:
    """Lay out one connected part."""
    layer = _layers(names, edges)
    chains = {e: _chain(e, layer) for e in edges}
    layers: list[list[str]] = [[] for _ in range(max(layer.values()) + 1)]
    for name in names:
        layers[layer[name]].append(name)
    for chain in chains.values():
        for bend in chain[1:-1]:
            layers[int(bend.partition("\0")[0])].append(bend)
    links = sorted({(a, b) for chain in chains.values() for a, b in _pairs(chain)})
    before: dict[str, list[str]] = {n: [] for row in layers for n in row}
    after: dict[str, list[str]] = {n: [] for row in layers for n in row}
    for a, b in links:
        after[a].append(b)
        before[b].append(a)
    layers = _ordered(layers, before, after)
    places = _placed(layers, before, after)
    found = Layout({n: places[n] for n in names})
    for edge, chain in chains.items():
        found.edges[edge] = _route(chain, places)
    found.width = max(x for x, _ in found.nodes.values()) + WIDTH
    found.height = max(y for _, y in places.values()) + HEIGHT
    return found


def _layers(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Put each node after all that it needs, and what nothing is needed for next to its user."""
    needs: dict[str, set[str]] = {n: set() for n in names}
    users: dict[str, set[str]] = {n: set() for n in names}
    for a, b in edges:
        needs[b].add(a)
        users[a].add(b)
    layer: dict[str, int] = {}
    waiting = {n: len(needs[n]) for n in names}
    ready = [n for n in names if not waiting[n]]
    for name in ready:
        layer[name] = max((layer[a] + 1 for a in needs[name]), default=0)
        for user in sorted(users[name]):
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    for name in names:
        if not needs[name] and users[name]:
            layer[name] = min(layer[u] for u in users[name]) - 1
    return layer


def _chain(edge: Edge, layer: Mapping[str, int]) -> list[str]:
    """Return an edge with a bend in each layer that it passes."""
    a, b = edge
    bends = [f"{n}\0{a}\0{b}" for n in range(layer[a] + 1, layer[b])]
    return [a, *bends, b]


def _pairs(chain: Sequence[str]) -> Iterable[Edge]:
    return pairwise(chain)


def _ordered(
    layers: list[list[str]], before: Mapping[str, list[str]], after: Mapping[str, list[str]]
) -> list[list[str]]:
    """Order each layer by where its neighbours are, back and forth; keep the best seen."""
    best, fewest = [list(row) for row in layers], _crossings(layers, after)
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        beside = before if forth else after
        for row in layers if forth else reversed(layers):
            _sort(row, beside, layers)
        count = _crossings(layers, after)
        if count < fewest:
            best, fewest = [list(row) for row in layers], count
        if not fewest:
            break
    return best


def _sort(row: list[str], beside: Mapping[str, list[str]], layers: list[list[str]]) -> None:
    near = {n for name in row for n in beside[name]}
    place = {n: i for other in layers if other is not row for i, n in enumerate(other) if n in near}
    here = {n: float(i) for i, n in enumerate(row)}
    wanted = {
        n: sum(place[b] for b in beside[n]) / len(beside[n]) if beside[n] else here[n] for n in row
    }
    row.sort(key=lambda n: (wanted[n], here[n]))


def _crossings(layers: Sequence[Sequence[str]], after: Mapping[str, list[str]]) -> int:
    count = 0
    for row, following in pairwise(layers):
        place = {n: i for i, n in enumerate(following)}
        seen: list[int] = []
        for name in row:
            ends = sorted(place[b] for b in after[name])
            count += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


def _placed(
    layers: Sequence[Sequence[str]],
    before: Mapping[str, list[str]],
    after: Mapping[str, list[str]],
) -> dict[str, Point]:
    """Give each node of a layer a height near those of its neighbours, in the order it has."""
    if max(map(len, layers)) > _TALLEST:
        return _wrapped(layers)
    y: dict[str, float] = {}
    for row in layers:
        top = 0.0
        for name in row:
            y[name] = top
            top += _room(name)
    for sweep in range(_SWEEPS):
        beside = before if sweep % 2 == 0 else after
        for row in layers if sweep % 2 == 0 else reversed(layers):
            wanted = [
                sum(y[b] + _half(b) for b in beside[n]) / len(beside[n]) - _half(n)
                if beside[n]
                else y[n]
                for n in row
            ]
            y |= zip(row, _spread(wanted, [_room(n) for n in row]), strict=True)
    least = min(y.values())
    return {n: (c * (WIDTH + ACROSS), y[n] - least) for c, row in enumerate(layers) for n in row}


def _room(name: str) -> float:
    return _BEND if "\0" in name else HEIGHT + DOWN


def _half(name: str) -> float:
    """Return how far below the top of a place the edge goes in."""
    return (_BEND if "\0" in name else HEIGHT) / 2


def _spread(wanted: Sequence[float], rooms: Sequence[float]) -> list[float]:
    """Return the heights nearest to those wanted that leave each its room, in the same order.

    Least squares, by pooling neighbours that would overlap.
    """
    offsets = [0.0]
    for room in rooms[:-1]:
        offsets.append(offsets[-1] + room)
    pools: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        mean, count = want - offset, 1
        while pools and pools[-1][0] > mean:
            other, many = pools.pop()
            mean, count = (mean * count + other * many) / (count + many), count + many
        pools.append((mean, count))
    flat = [mean for mean, count in pools for _ in range(count)]
    return [f + o for f, o in zip(flat, offsets, strict=True)]


def _wrapped(layers: Sequence[Sequence[str]]) -> dict[str, Point]:
    """Put layers that are too tall into several columns each."""
    places: dict[str, Point] = {}
    left = 0.0
    for row in layers:
        solid = [n for n in row if "\0" not in n]
        columns = max(1, ceil(len(solid) / _TALLEST))
        rows = ceil(len(solid) / columns) if solid else 1
        for i, name in enumerate(solid):
            x = left + (i // rows) * (WIDTH + ACROSS / 2)
            places[name] = (x, (i % rows) * (HEIGHT + DOWN))
        for i, name in enumerate(n for n in row if "\0" in n):
            places[name] = (left, rows * (HEIGHT + DOWN) + i * 2.0)
        left += columns * WIDTH + (columns - 1) * ACROSS / 2 + ACROSS
    return places


def _route(chain: Sequence[str], places: Mapping[str, Point]) -> list[Point]:
    """Return the points of an edge: out at the right, through its bends, in at the left."""
    (x, y), (end, height) = places[chain[0]], places[chain[-1]]
    points = [(x + WIDTH, y + HEIGHT / 2)]
    for bend in chain[1:-1]:
        at, level = places[bend]
        points += [(at, level + _half(bend)), (at + WIDTH, level + _half(bend))]
    return [*points, (end, height + HEIGHT / 2)]


def _packed(parts: Sequence[Layout]) -> Layout:
    """Put parts on shelves, so that the whole is somewhat wider than high."""
    if not parts:
        return Layout()
    gap = ACROSS / 2
    area = sum((p.width + gap) * (p.height + gap) for p in parts)
    widest = max(*(p.width for p in parts), sqrt(area * _SHAPE))
    whole = Layout()
    x = y = shelf = 0.0
    for part in parts:
        if x and x + part.width > widest:
            x, y, shelf = 0.0, y + shelf + gap, 0.0
        for name, (px, py) in part.nodes.items():
            whole.nodes[name] = (px + x, py + y)
        for edge, points in part.edges.items():
            whole.edges[edge] = [(px + x, py + y) for px, py in points]
        whole.width = max(whole.width, x + part.width)
        whole.height = max(whole.height, y + part.height)
        shelf = max(shelf, part.height)
        x += part.width + gap
    return whole
