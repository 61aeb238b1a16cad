"""Random expressions over all functions, operators and types; most of them mean something.

Texts are made for a wanted type, so that most evaluate; now and then a part is of another type
than the one that is wanted, null, unknown or sensitive.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

from mlform.types import BOOL, NUMBER, STRING, Collection, ObjectType, Primitive, TupleType, Type

UNKNOWN: Final = "local.unknown"
"""What stands for an unknown value of which nothing is known."""

VARIABLES: Final = {
    "shape": (
        """object({
            a = string, b = optional(number, 3), c = optional(list(string), [1]),
            d = optional(object({e = optional(bool, true)}), {})
        })""",
        "{a = 1, x = 2}",
    ),
    "shapes": (
        "list(object({a = optional(string), b = optional(number, 2)}))",
        '[{}, {a = "é", b = "7"}]',
    ),
    "pair": ("tuple([string, number])", '[true, "1e3"]'),
    "names": ("set(string)", '["b", "a", 1, "b"]'),
    "table": ("map(list(number))", '{a = [1, "2"], "key 1" = []}'),
    "open": ("any", '{a = [1, "x"], b = null}'),
    "secret": ("map(string)", '{a = "s3cret", b = 7}'),
}
"""The types and values of variables; the one called ``secret`` is sensitive."""

_NAMED: Final = {
    STRING: ("var.shape.a", "var.shapes[1].a", "var.shapes[0].a", "var.pair[0]", "var.secret.a"),
    NUMBER: ("var.shape.b", "var.shapes[1].b", "var.pair[1]", "var.table.a[1]"),
    BOOL: ("var.shape.d.e",),
    Collection("list", STRING): ("var.shape.c", "var.shapes[*].a", "var.open.a"),
    Collection("list", NUMBER): ("var.table.a", 'var.table["key 1"]', "var.shapes[*].b"),
    Collection("set", STRING): ("var.names",),
    Collection("map", STRING): ("var.secret",),
}
_KNOWN_IN_PART: Final = {
    STRING: (
        '"ab-${local.unknown}"',
        '"é${local.unknown}"',
        "upper(local.unknown)",
        '(local.unknown ? "a" : "b")',
        "jsonencode([local.unknown])",
        'format("x/%s", tostring(local.unknown))',
    ),
    NUMBER: (
        "(local.unknown ? 1 : 5)",
        "(1 + local.unknown)",
        "length(toset([1, local.unknown]))",
        "(local.unknown ? -0.5 : 1e20)",
        'length("ab-${local.unknown}")',
    ),
    BOOL: ("(local.unknown == 1)", "!tobool(local.unknown)", '(upper(local.unknown) == "a")'),
    Collection("list", STRING): ('split(",", local.unknown)', "keys(tomap(local.unknown))"),
    Collection("list", NUMBER): ("(local.unknown ? tolist([1]) : tolist([1, 2]))",),
}
"""What is unknown, and is known not to be null, or to be within some bounds."""

_DATA: Final = json.loads((Path(__file__).parent / "data" / "sampling.json").read_text("utf-8"))
_STRINGS, _NUMBERS, _KEYS, _WORDS = (_DATA[n] for n in ("strings", "numbers", "keys", "words"))

_CALLS: Final = _DATA["calls"]
"""Calls by the type of their results.

One letter is a type: s string, n number, b bool, i a small whole number (p: not negative), a
anything; T what the result says, L, E, M, Q lists, sets, maps and any sequence of those, ls lists
of strings and so on, t a tuple, o an object, f a list to flatten.
"""

_TEXTS: Final = {
    name: [t for t in texts if t.startswith(f"{name}(")]
    for texts in [[t for group in _CALLS.values() for t in group]]
    for name in {t.partition("(")[0] for t in texts}
}
"""Calls by the function they call."""

_BOOLS: Final = ("true", "false", '"true"', "(1 < 2)", "sensitive(true)")
_PLAIN: Final = (STRING, NUMBER, BOOL)
_TOKEN: Final = re.compile(r'"[^"]*"|[\w:.]+\(|null|[a-zA-Z]\w*(?:\.\w+)?')
_TYPES: Final = re.compile(r"[LEMQlemq]?[LEMQlemq]?[snbatofT]")


def quoted(value: str) -> str:
    """Return a text as the language writes it; ``$${`` stays as it is."""
    return json.dumps(value, ensure_ascii=False)


class Sampler:
    """Makes the same texts again for a seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - no secret: the seed must give the same texts
        self.bound: list[tuple[str, Type]] = []
        self.wanted: list[Type] = []

    def expression(self) -> str:
        """Return an expression."""
        if self.chance(0.3):
            # Each function as often as any other.
            text = self.pick(_TEXTS[self.pick(sorted(_TEXTS))])
            return self.filled(text, self.type(1), self.pick((0, 1, 1, 2)))
        return self.of(self.type(2), self.pick((1, 2, 2, 3)))

    def filled(self, text: str, element: Type, depth: int) -> str:
        """Return a call with arguments in the place of types."""
        self.wanted.append(element)
        try:
            return _TOKEN.sub(lambda found: self.argument(found.group(), depth), text)
        finally:
            self.wanted.pop()

    def pick(self, choices: Sequence[Any]) -> Any:
        return choices[self.random.randrange(len(choices))]

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def type(self, depth: int) -> Type:
        """Return some type."""
        if depth == 0 or self.chance(0.45):
            return self.pick((STRING, STRING, NUMBER, BOOL))
        match self.pick(("list", "list", "set", "map", "tuple", "object")):
            case "tuple":
                return TupleType(
                    tuple(self.type(depth - 1) for _ in range(self.random.randrange(4)))
                )
            case "object":
                keys = self.random.sample(_KEYS, self.random.randrange(4))
                return ObjectType({k: self.type(depth - 1) for k in keys})
            case name:
                return Collection(name, self.type(depth - 1))

    def of(self, type_: Type, depth: int) -> str:
        """Return an expression of a type, or now and then of another."""
        if self.chance(0.015):
            type_ = self.type(1)
        if depth <= 0 or self.chance(0.1):
            return self.leaf(type_, depth)
        if self.chance(0.62):
            return self.call(type_, depth - 1)
        return self.operation(type_, depth - 1)

    def leaf(self, type_: Type, depth: int) -> str:
        """Return a literal, a name, or now and then null, an unknown or a sensitive value."""
        names = [name for name, bound in self.bound if bound == type_]
        if names and self.chance(0.7):
            return str(self.pick(names))
        if self.chance(0.03):
            return self.nothing(type_, "null")
        if self.chance(0.03):
            return self.nothing(type_, UNKNOWN)
        if self.chance(0.02):
            return f"sensitive({self.literal(type_, depth)})"
        if self.chance(0.06) and type_ in _NAMED:
            return str(self.pick(_NAMED[type_]))
        if self.chance(0.04) and type_ in _KNOWN_IN_PART:
            return str(self.pick(_KNOWN_IN_PART[type_]))
        return self.literal(type_, depth)

    def nothing(self, type_: Type, text: str) -> str:
        """Return null or the unknown value, of a type or of none."""
        if self.chance(0.3):
            return text
        if isinstance(type_, Collection):
            return f"to{type_.name}({text})"
        return (
            f"to{self.pick(('string', 'number', 'bool')) if type_ not in _PLAIN else type_}({text})"
        )

    def literal(self, type_: Type, depth: int) -> str:
        """Return an expression that writes a value out."""
        match type_:
            case Collection(name=name, element=element):
                count = self.pick((0, 1, 1, 1, 2, 2, 2, 3))
                if name == "map":
                    inner = self.pairs(
                        dict.fromkeys(self.random.sample(_KEYS, count), element), depth
                    )
                else:
                    inner = self.items([element] * count, depth)
                return f"to{name}({inner})" if self.chance(0.9) else inner
            case TupleType(elements=elements):
                return self.items(elements, depth)
            case ObjectType(attributes=attributes):
                return self.pairs(attributes, depth)
            case _ if type_ == NUMBER:
                return str(self.pick(_NUMBERS))
            case _ if type_ == BOOL:
                return str(self.pick(("true", "false")))
            case _:
                return quoted(self.pick(_STRINGS))

    def items(self, types: Sequence[Type], depth: int) -> str:
        return "[" + ", ".join(self.of(t, depth - 1) for t in types) + "]"

    def pairs(self, types: Mapping[str, Type], depth: int) -> str:
        shown = [f"{quoted(k)} = {self.of(t, depth - 1)}" for k, t in types.items()]
        return "{" + ", ".join(shown) + "}"

    def call(self, type_: Type, depth: int) -> str:
        """Return a call of a function whose results are of a type."""
        element: Type = type_.element if isinstance(type_, Collection) else STRING
        match type_:
            case Collection(name="list"):
                groups = [
                    "L",
                    "L",
                    *(["ls"] * (element == STRING)),
                    *(["ln"] * (element == NUMBER)),
                ]
                if isinstance(element, Collection):
                    groups.append("lT")
                    element = self.pick((element, element.element))
            case Collection(name="set"):
                groups = ["E", "E", *(["eT"] * isinstance(element, TupleType))]
            case Collection():
                groups = ["M", "M", *(["m"] * isinstance(element, Collection))]
            case TupleType():
                groups, element = ["t"], self.type(1)
            case ObjectType():
                groups, element = ["o"], self.type(1)
            case _:
                groups = {STRING: ["s", "s", "s", "T"], NUMBER: ["n", "n", "T"]}.get(
                    type_, ["b", "b", "T"]
                )
                element = type_
        if not isinstance(type_, Primitive) and self.chance(0.3):
            groups, element = ["T"], type_
        return self.filled(self.pick(_CALLS[self.pick(groups)]), element, depth)

    def argument(self, token: str, depth: int) -> str:
        """Return what a token of a call stands for."""
        if token in _WORDS:
            return quoted(self.pick(_WORDS[token])) if self.chance(0.93) else self.of(STRING, depth)
        if token in {"i", "p"}:
            number = str(self.pick((0, 1, 1, 2, 2, 3, 4, 8, 16, 36, -1 if token == "i" else 5)))
            return number if self.chance(0.93) else self.of(NUMBER, depth)
        found = _TYPES.fullmatch(token)
        if found is None:
            return token
        return self.of(self.meant(token), depth)

    def meant(self, token: str) -> Type:
        """Return the type that a token names."""
        letter, inner = token[0], token[1:]
        if letter in "seLEMQlmq" and inner:
            element = self.meant(inner)
            if letter in "Qq":
                letter = self.pick("lllet")
            name = {"l": "list", "L": "list", "e": "set", "E": "set", "m": "map", "M": "map"}
            if letter == "t":
                return TupleType((element,) * self.random.randrange(4))
            return Collection(name[letter], element)
        match letter:
            case "T":
                return self.wanted[-1]
            case "t":
                return TupleType(tuple(self.type(1) for _ in range(self.random.randrange(4))))
            case "o":
                keys = self.random.sample(_KEYS, self.random.randrange(4))
                return ObjectType({k: self.type(1) for k in keys})
            case "f":
                inner_types = (self.type(2), Collection("list", self.type(1)), self.type(1))
                return TupleType(inner_types[: self.random.randrange(4)])
            case _:
                return {"s": STRING, "n": NUMBER, "b": BOOL}.get(letter) or self.type(2)

    def operation(self, type_: Type, depth: int) -> str:
        """Return an operator, a condition, a loop or a way into a larger value."""
        ways: list[Callable[[Type, int], str]] = [self.condition, self.member, self.condition]
        match type_:
            case TupleType():
                ways += [self.loop, self.splat]
            case ObjectType():
                ways += [self.object_loop]
            case Collection(name="list" | "set"):
                ways += [self.wrapped_loop]
            case _ if type_ == STRING:
                ways += [self.template, self.template, self.directive, self.heredoc]
            case _ if type_ == NUMBER:
                ways += [self.arithmetic, self.arithmetic]
            case _ if type_ == BOOL:
                ways += [self.logic, self.comparison, self.comparison]
        way: Callable[[Type, int], str] = self.pick(ways)
        return way(type_, depth)

    def condition(self, type_: Type, depth: int) -> str:
        other = type_ if self.chance(0.7) else self.type(2)
        sides = [self.of(type_, depth), self.of(other, depth)]
        self.random.shuffle(sides)
        return f"({self.of(BOOL, depth)} ? {sides[0]} : {sides[1]})"

    def member(self, type_: Type, depth: int) -> str:
        match self.pick(("list", "map", "object", "tuple")):
            case "list":
                index = self.pick((0, 0, 1, quoted("0")))
                return f"{self.of(Collection('list', type_), depth)}[{index}]"
            case "map":
                return f"{self.of(Collection('map', type_), depth)}[{quoted(self.pick(_KEYS))}]"
            case "tuple":
                return f"{self.of(TupleType((type_, self.type(1))), depth)}[0]"
            case _:
                key = self.pick(("a", "b"))
                return f"{self.of(ObjectType({key: type_, 'x': self.type(1)}), depth)}.{key}"

    def arithmetic(self, _type: Type, depth: int) -> str:
        if self.chance(0.15):
            return f"-{self.of(NUMBER, depth)}"
        return f"({self.of(NUMBER, depth)} {self.pick('+-*/%')} {self.of(NUMBER, depth)})"

    def logic(self, _type: Type, depth: int) -> str:
        if self.chance(0.3):
            return f"!{self.of(BOOL, depth)}"
        # Both sides written out: ours leaves the right one alone where the left one decides.
        return f"({self.pick(_BOOLS)} {self.pick(('&&', '||'))} {self.pick(_BOOLS)})"

    def comparison(self, _type: Type, depth: int) -> str:
        if self.chance(0.4):
            signs = ("<", "<=", ">", ">=")
            return f"({self.of(NUMBER, depth)} {self.pick(signs)} {self.of(NUMBER, depth)})"
        type_ = self.type(2)
        if self.chance(0.15):
            return f"({self.of(type_, depth)} {self.pick(('==', '!='))} null)"
        other = type_ if self.chance(0.8) else self.type(2)
        return f"({self.of(type_, depth)} {self.pick(('==', '!='))} {self.of(other, depth)})"

    def template(self, _type: Type, depth: int) -> str:
        inner = self.of(self.pick((STRING, NUMBER, BOOL)), depth)
        return self.pick(('"${%s}"', '"a${%s}b"', '"${%s} ${1}"', '" ${~ %s ~} "')) % inner

    def heredoc(self, _type: Type, depth: int) -> str:
        lines = []
        for _ in range(self.random.randrange(1, 4)):
            blank = self.pick(("", "  ", "    ", "\t"))
            word = self.pick(("a", "é", "$${x}", "\\n", '"', "", " b "))
            inner = "${" + self.of(STRING, depth) + "}" if self.chance(0.4) else word
            lines.append(f"{blank}{inner}{self.pick(('', ' ', 'z'))}\n")
        if self.chance(0.3):
            condition = self.of(BOOL, 0)
            lines = [f"%{{ if {condition} ~}}\n", *lines, "%{ endif ~}\n"]
        return f"(<<{self.pick(('', '-'))}E\n{''.join(lines)}  E\n)"

    def directive(self, _type: Type, depth: int) -> str:
        if self.chance(0.5):
            shown = self.pick(("x", "", " y "))
            condition, other = self.of(BOOL, depth), self.of(STRING, depth)
            return f'"%{{ if {condition} }}{shown}%{{ else }}${{{other}}}%{{ endif }}"'
        name, collection, inner = self.loop_over(STRING, depth)
        return f'"%{{ for {name} in {collection} }}${{{inner}}};%{{ endfor }}"'

    def loop_over(self, type_: Type, depth: int) -> tuple[str, str, str]:
        """Return the names of a loop, what it goes through, and its body."""
        item = self.pick((STRING, NUMBER, type_))
        form = self.pick(("list", "set", "map", "list"))
        collection = self.of(Collection(form, item), depth)
        value, key = f"v{len(self.bound)}", f"k{len(self.bound)}"
        both = self.chance(0.4)
        before = len(self.bound)
        self.bound.append((value, item))
        if both:
            keys = {"list": NUMBER, "set": item, "map": STRING}
            self.bound.append((key, keys[form]))
        body = self.of(type_, depth)
        del self.bound[before:]
        return (f"{key}, {value}" if both else value), collection, body

    def loop(self, _type: Type, depth: int) -> str:
        names, collection, body = self.loop_over(self.type(1), depth)
        end = f" if {self.of(BOOL, 1)}" if self.chance(0.3) else ""
        return f"[for {names} in {collection} : {body}{end}]"

    def wrapped_loop(self, type_: Type, depth: int) -> str:
        assert isinstance(type_, Collection)
        names, collection, body = self.loop_over(type_.element, depth)
        return f"to{type_.name}([for {names} in {collection} : {body}])"

    def object_loop(self, _type: Type, depth: int) -> str:
        names, collection, body = self.loop_over(self.type(1), depth)
        key = names.split(", ")[0]
        end = "..." if self.chance(0.4) else ""
        return f"{{for {names} in {collection} : {key} => {body}{end}}}"

    def splat(self, _type: Type, depth: int) -> str:
        item = ObjectType({"a": self.type(1), "b": self.type(1)})
        if self.chance(0.3):
            return f"{self.of(item, depth)}[*].a"
        return f"{self.of(Collection('list', item), depth)}{self.pick(('[*].a', '.*.b', '[*]'))}"
