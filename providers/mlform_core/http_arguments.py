"""What is written of a ``deployment "http"``, and what it gives."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from mlform.sdk import (
    Arguments,
    Attributes,
    Fields,
    Handle,
    Identity,
    Length,
    Metadata,
    Operational,
    Secret,
    Volatile,
    seconds,
)


class Log(Fields):
    """What is kept of requests and answers, for the monitor."""

    sample: float = Field(default=1.0, ge=0, le=1)
    """The share of requests that is logged."""
    keep_mb: float = Field(default=1024, ge=1)
    """Beyond this the oldest entries go."""
    redact: list[str] = Field(default_factory=list)
    """Inputs whose values are never written; monitors do without them."""
    keys: list[str] = Field(default_factory=list)
    """Tensors that say which row is which (an order's number), by which labels that come later
    find it. A request may have them beside the inputs; the model never sees them."""


class Runtime(Fields):
    """How a model runs."""

    kind: Literal["auto", "native"] = "auto"
    """"auto": as an ONNX graph where the model converts and answers are equal, else by its own
    library; "native": by that."""
    tolerance: float = Field(default=1e-4, gt=0)
    """Answers are equal if |answer − model| ≤ tolerance × (1 + |model|)."""


class Rollout(Fields):
    """How a new model takes over."""

    kind: Literal["all_at_once", "canary"] = "all_at_once"
    """"canary": the new model answers ``steps`` of the requests, each for ``bake``, and takes over
    if nothing speaks against it."""
    steps: list[float] = Field(default_factory=lambda: [5.0, 25.0, 50.0], min_length=1)
    """Percent of the requests, growing. 100 is the end, and need not be said."""
    bake: Length = "60s"
    """How long each step lasts."""
    on_breach: Literal["rollback"] = "rollback"
    """At a breach the old model has all requests again, at once, and ``apply`` fails."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """The chance that a new model no worse than the old one is rolled back, however long it is
    watched."""
    slow_ms: float | None = Field(default=None, gt=0)
    """Answers that take longer count against a model, as errors and refusals do."""

    @field_validator("steps")
    @classmethod
    def _growing(cls, value: list[float]) -> list[float]:
        if sorted(set(value)) != value or value[0] <= 0 or value[-1] > 100:
            raise ValueError("steps are percents that grow, above 0 and up to 100")
        return value

    @property
    def shares(self) -> list[float]:
        """The steps before the end, as fractions."""
        if self.kind == "all_at_once":
            return []
        return [step / 100 for step in self.steps if step < 100]

    @property
    def bake_seconds(self) -> float:
        """How long each step lasts, in seconds."""
        return seconds(self.bake)


class Variant(Fields):
    """Another model that answers a part of the requests, lastingly."""

    model: Handle
    share: float = Field(gt=0, lt=100)
    """Percent of the requests."""


class HttpArguments(Arguments):
    """Which model, where."""

    model: Handle
    name: Identity[str | None] = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The model's name in URLs; the resource's name unless it is given."""
    host: Identity[str] = "127.0.0.1"
    port: Operational[int] = Field(default=0, ge=0, le=65535)
    """0: a free one, kept from then on."""
    features: Handle | None = None
    """The feature view that the model was trained on: requests have the columns that it is made
    of, and it makes the features of them. Without it requests have the features."""
    log: Operational[Log] = Log()
    timeout_s: Operational[float] = Field(default=30.0, gt=0)
    """A request that takes longer is answered with 504."""
    max_body_mb: Operational[float] = Field(default=16.0, gt=0)
    workers: Operational[int] = Field(default=1, ge=1, le=64)
    """Processes that predict; the death of one fails no request."""
    runtime: Operational[Runtime] = Runtime()
    tokens: Secret[list[str] | None] = None
    """Whoever sends one of these (``Authorization: Bearer TOKEN``) is let in. Not set: everyone."""
    tokens_env: Operational[str | None] = None
    """The environment variable that holds the tokens, with commas between them."""
    rollout: Operational[Rollout] = Rollout()
    variants: Operational[dict[str, Variant]] = Field(default_factory=dict)
    """Other models beside ``model``, by name: what their shares leave is answered by that."""
    shadow: Operational[Handle | None] = None
    """A model that is asked the same beside, and whose answers go to the log alone."""
    allow_pickle: Operational[bool] = False
    """Load a model that is a pickle, which runs code of its maker."""
    owner: Metadata[str] = ""
    description: Metadata[str] = ""

    @field_validator("tokens")
    @classmethod
    def _long(cls, value: list[str] | None) -> list[str] | None:
        from mlform_core.serving.settings import SHORTEST_TOKEN

        if value is not None and (not value or min(map(len, value)) < SHORTEST_TOKEN):
            raise ValueError(f"give tokens of at least {SHORTEST_TOKEN} characters each")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(v.share for v in self.variants.values()) >= 100:
            raise ValueError("the shares of variants leave nothing for model")
        if self.tokens is not None and self.tokens_env is not None:
            raise ValueError("write one of tokens and tokens_env")
        return self


class HttpAttributes(Attributes):
    """Where it answers, and with what."""

    url: str
    """Of the model: ``POST url/infer`` predicts."""
    answers: str
    """The digest that answered when it was asked."""
    name: str
    port: int
    log_dir: str
    """The request log, relative to the folder of the spec."""
    features: str = ""
    """The digest of the feature view that makes the features of requests."""
    asked: list[str] = Field(default_factory=list)
    """The columns that requests have where a feature view makes the features, as the log has
    them."""
    redacted: list[str] = Field(default_factory=list)
    """Inputs that the log does not have."""
    keys: list[str] = Field(default_factory=list)
    """What the log has of each row to know it by."""
    variants: dict[str, str] = Field(default_factory=dict)
    """The digests of variants by name."""
    shadow: str = ""
    """The digest of the shadow."""
    runtime: Volatile[str] = ""
    """"onnx" or "native"."""
    difference: Volatile[float] = 0.0
    """How far answers were from those of the model itself, over the rows that were compared."""
    pid: Volatile[int]
    revision: Volatile[int]
    """Counts the models that served here."""
    started: Volatile[str] = ""
    """When the process was ready."""
