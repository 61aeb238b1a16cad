"""The ``mlform`` block: which versions the spec wants, and where its state lies."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mlform.config.approvers import Approvers
from mlform.config.blocks import Reader
from mlform.config.encryption import encryption
from mlform.config.executors import ExecutorBlocks
from mlform.config.model import Encryption, Settings
from mlform.config.quantities import seconds
from mlform.config.retention import audit_window
from mlform.config.store import StoreSettings, store_settings
from mlform.config.webhooks import Webhooks
from mlform.diagnostics import Diagnostics, did_you_mean
from mlform.keys import installed_version
from mlform.lang import evaluate
from mlform.lazy import replace
from mlform.registry import KINDS, Registry
from mlform.syntax.tree import Attribute, Block
from mlform.values import Sensitive, Value

_CONSTRAINT = r"\s*(>=|<=|!=|~>|=|>|<)?\s*(\d+(?:\.\d+)*)\s*"

_BACKENDS = {"sqlite": ("path",), "postgres": ("url", "schema")}
"""Backend → what its block takes."""
_SCHEMA = r"[a-z_][a-z0-9_]{0,62}"
_REQUIRED = ("version", "source")
"""``source`` says in Terraform where a provider comes from; here it is installed with pip."""

_ROOT_ONLY: Final = {
    "backend": "State is the root module's: the backend of a called module is not used.",
    "refresh": "How old a look may be is said in the root module; here it is not used.",
    "retention": "How long data are held is said in the root module; here it is not used.",
    "store": "The store is the root module's: that of a called module is not used.",
    "approver": "Who approves is said in the root module: this one is not asked.",
    "encryption": "Encryption is said in the root module: this block is not used.",
    "executor": "Executors are the root module's: its stages name those.",
    "pool": "Pools are the root module's: its stages name those.",
    "webhook": "Webhooks are said in the root module: this one is not told.",
}
"""What only the root module says, and what to tell a called one."""


class SettingsBlock:
    """Reads the ``mlform`` block or blocks of one module."""

    def __init__(
        self,
        registry: Registry,
        diagnostics: Diagnostics,
        settled: Callable[[Attribute], Value] | None = None,
    ) -> None:
        self.registry, self.diagnostics = registry, diagnostics
        self.settled = settled or self._value
        self.backend: Block | None = None
        self.max_age: dict[str, float] = {}
        self.store: StoreSettings | None = None
        self.audit_window: float | None = None
        self.approvers = Approvers(diagnostics, self.settled)
        self.encryption: Encryption | None = None
        self.places = ExecutorBlocks(diagnostics, self.settled)
        self.webhooks = Webhooks(diagnostics, self.settled)

    def read(self, block: Block, *, root: bool = True) -> None:
        """Take one ``mlform`` block; that of a called module only says what it requires."""
        for attribute in block.body.attributes.values():
            if attribute.name != "required_version":
                detail = (
                    f'The mlform block has no "{attribute.name}".'
                    f"{did_you_mean(attribute.name, ['required_version'])}"
                )
                self.diagnostics.error("Unknown argument", detail, at=attribute.name_span)
                continue
            wanted = self._value(attribute)
            self._check(attribute, "mlform", installed_version("mlform"), wanted)
        for inner in block.body.blocks:
            if inner.kind == "required_providers":
                self._providers(inner)
            elif inner.kind not in _ROOT_ONLY:
                known = ["required_providers", *_ROOT_ONLY]
                detail = (
                    f'The mlform block holds no "{inner.kind}".{did_you_mean(inner.kind, known)}'
                )
                self.diagnostics.error("Unknown block", detail, at=inner.header_span)
            elif root:
                self._root_only(inner)
            else:
                summary = f"{inner.kind.capitalize()} ignored"
                detail = _ROOT_ONLY[inner.kind]
                self.diagnostics.warning(summary, detail, at=inner.header_span)

    def _root_only(self, block: Block) -> None:
        match block.kind:
            case "refresh":
                self._refresh(block)
            case "retention":
                self.audit_window = audit_window(block, self.settled, self.diagnostics)
            case "backend":
                self._backend(block)
            case "approver":
                self.approvers.read(block)
            case "encryption":
                self.encryption = encryption(block, self.settled, self.diagnostics)
            case "executor":
                self.places.executor(block)
            case "pool":
                self.places.pool(block)
            case "webhook":
                self.webhooks.read(block)
            case _:
                self.store = store_settings(block, self.settled, self.diagnostics)

    def settings(self) -> Settings:
        """Return what the blocks said, with defaults for what they left open."""
        window = Settings.audit_window if self.audit_window is None else self.audit_window
        found = Settings(
            max_age=self.max_age,
            store=self.store,
            audit_window=window,
            approvers=tuple(self.approvers.found.values()),
            encryption=self.encryption,
            executors=self.places.executors,
            pools=self.places.pools,
            webhooks=tuple(self.webhooks.found.values()),
        )
        return found if self.backend is None else self._kept(self.backend, found)

    def _kept(self, block: Block, found: Settings) -> Settings:
        """Return settings with where the state is kept."""
        if block.labels[0].text == "sqlite":
            return replace(found, backend_path=self._text(block, "path") or found.backend_path)
        url, schema = self._text(block, "url"), self._text(block, "schema")
        if schema is not None and not re.fullmatch(_SCHEMA, schema):
            detail = f'"{schema}" is no name of a schema: lower-case letters, digits and _.'
            at = block.body.attributes["schema"].value_span
            self.diagnostics.error("Invalid argument", detail, at=at)
        url = url or found.backend_url
        return replace(found, backend="postgres", backend_url=url, backend_schema=schema)

    def _refresh(self, block: Block) -> None:
        """Take ``refresh { max_age = { KIND = "30s" } }``."""
        Reader(self.diagnostics).only(block, ("max_age",))
        written = block.body.attributes.get("max_age")
        if written is None:
            return
        errors, value = len(self.diagnostics.errors), self.settled(written)
        if not isinstance(value, Mapping):
            if len(self.diagnostics.errors) == errors:
                detail = '`max_age` has a duration for a kind: { deployment = "30s" }.'
                self.diagnostics.error("Invalid argument", detail, at=written.value_span)
            return
        for kind, age in value.items():
            limit = seconds(age)
            if kind not in KINDS:
                detail = f'There is no kind "{kind}".{did_you_mean(kind, KINDS)}'
                self.diagnostics.error("Unknown kind", detail, at=written.value_span)
            elif limit is None:
                detail = f'The age of {kind} is a duration such as "30s", "5m", "2h" or "1d".'
                self.diagnostics.error("Invalid argument", detail, at=written.value_span)
            else:
                self.max_age[kind] = limit

    def _text(self, block: Block | None, name: str) -> str | None:
        written = None if block is None else block.body.attributes.get(name)
        if written is None:
            return None
        value = self.settled(written)
        if isinstance(value, Sensitive):
            value = value.value
        if isinstance(value, str) and value:
            return value
        if not self.diagnostics.errors:
            detail = f"`{name}` is a string, and known before anything is planned."
            self.diagnostics.error("Invalid argument", detail, at=written.value_span)
        return None

    def _backend(self, block: Block) -> None:
        labels = [label.text for label in block.labels]
        if len(labels) != 1 or labels[0] not in _BACKENDS:
            written = " ".join(labels) or "none"
            detail = (
                f'The backend is "{written}"; there are "sqlite" and "postgres".'
                f'{did_you_mean(written, _BACKENDS)} Write `backend "sqlite" {{}}` or '
                '`backend "postgres" { url = "postgresql://HOST/DATABASE" }`.'
            )
            self.diagnostics.error("Unknown backend", detail, at=block.header_span)
            return
        self._only(block, _BACKENDS[labels[0]], f"The {labels[0]} backend")
        self.backend = block

    def _only(self, block: Block, names: Sequence[str], what: str) -> None:
        known = " and ".join(f'"{name}"' for name in names)
        for attribute in block.body.attributes.values():
            if attribute.name not in names:
                detail = f'{what} takes {known} only, not "{attribute.name}".'
                self.diagnostics.error("Unknown argument", detail, at=attribute.name_span)

    def _providers(self, block: Block) -> None:
        known = self.registry.providers()
        for name, attribute in block.body.attributes.items():
            value = self._value(attribute)
            wanted = value.get("version") if isinstance(value, dict) else value
            for key in value if isinstance(value, dict) else ():
                if key not in _REQUIRED:
                    detail = (
                        f'What is required of a provider has no "{key}".'
                        f'{did_you_mean(key, _REQUIRED)} Write {{ version = ">= 0.1" }}.'
                    )
                    at = attribute.value_span
                    self.diagnostics.error("Unknown argument", detail, at=at)
            if name not in known:
                detail = (
                    f'The spec requires provider "{name}", which is not installed.'
                    f"{did_you_mean(name, known)} Installed: {', '.join(known) or 'none'}."
                )
                self.diagnostics.error("Unknown provider", detail, at=attribute.name_span)
            elif wanted is not None:
                self._check(attribute, f'provider "{name}"', self.registry.version(name), wanted)

    def _value(self, attribute: Attribute) -> Value:
        return evaluate(attribute.expr, {}, self.diagnostics, attribute.source)

    def _check(self, attribute: Attribute, what: str, present: str, wanted: Value) -> None:
        if not isinstance(wanted, str):
            detail = f'A version constraint is text such as ">= 0.1", not {wanted!r}.'
            self.diagnostics.error("Invalid version constraint", detail, at=attribute.value_span)
            return
        for part in wanted.split(","):
            match = re.fullmatch(_CONSTRAINT, part)
            if match is None:
                detail = f'"{part.strip()}" is no version constraint. Write ">= 0.1, < 2.0".'
                at = attribute.value_span
                self.diagnostics.error("Invalid version constraint", detail, at=at)
            elif not _satisfies(present, match[1] or "=", match[2]):
                detail = f"The spec wants {what} {wanted}; this is {present}."
                self.diagnostics.error("Unsupported version", detail, at=attribute.value_span)


def _satisfies(present: str, operator: str, wanted: str) -> bool:
    have, want = _numbers(present), _numbers(wanted)
    if operator == "~>":
        return have >= want and have[: len(want) - 1] == want[:-1]
    width = max(len(have), len(want))
    have, want = have + (0,) * (width - len(have)), want + (0,) * (width - len(want))
    return {
        "=": have == want,
        "!=": have != want,
        ">": have > want,
        ">=": have >= want,
        "<": have < want,
        "<=": have <= want,
    }[operator]


def _numbers(text: str) -> tuple[int, ...]:
    match = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(n) for n in match[0].split(".")) if match else (0,)
