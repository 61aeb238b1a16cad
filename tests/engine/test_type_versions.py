"""What one version of a type recorded, the next takes up: made anew, or read as far as it goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.engine.world import World

from mlform.sdk import (
    AnyResource,
    Arguments,
    Attributes,
    Context,
    Looking,
    Provider,
    Resource,
    Stored,
)

SPEC = """
training_job "sum" "first" {
  value = 3
}
deployment "sign" "shop" {
  shows = training_job.first.total
}
"""


class SumArguments(Arguments):
    value: int


class SumBefore(Attributes):
    total: int


class SumAfter(Attributes):
    total: int
    parts: dict[str, int]


class SignArguments(Arguments):
    shows: int


class SignBefore(Attributes):
    shown: int
    lamp: int = 0


class SignAfter(Attributes):
    shown: int
    colour: str


class Before(Provider):
    def resources(self) -> Sequence[AnyResource]:
        class Sum(
            Resource[SumArguments, SumBefore], kind="training_job", type="sum", reusable=True
        ):
            def apply(self, ctx: Context, new: SumArguments, old: Any) -> SumBefore:
                return SumBefore(total=new.value)

        class Sign(Resource[SignArguments, SignBefore], kind="deployment", type="sign"):
            def apply(self, ctx: Context, new: SignArguments, old: Any) -> SignBefore:
                return SignBefore(shown=new.shows)

        return [Sum(), Sign()]


class After(Provider):
    def resources(self) -> Sequence[AnyResource]:
        class Sum(
            Resource[SumArguments, SumAfter],
            kind="training_job",
            type="sum",
            version=2,
            reusable=True,
        ):
            def apply(
                self, ctx: Context, new: SumArguments, old: Stored[SumArguments, SumAfter] | None
            ) -> SumAfter:
                known = {} if old is None else old.attributes.parts
                return SumAfter(total=new.value, parts={**known, "all": new.value})

        class Sign(Resource[SignArguments, SignAfter], kind="deployment", type="sign"):
            def apply(
                self, ctx: Context, new: SignArguments, old: Stored[SignArguments, SignAfter] | None
            ) -> SignAfter:
                return SignAfter(shown=new.shows, colour="red")

            def read(self, ctx: Looking, old: Stored[SignArguments, SignAfter]) -> SignAfter:
                return SignAfter(shown=old.attributes.shown, colour="red")

        return [Sum(), Sign()]


def test_what_an_older_version_recorded_is_taken_up(world: World) -> None:
    world.targets = {"toy": f"{__name__}:Before"}
    assert world.apply(SPEC) == {"training_job.first": "run", "deployment.shop": "create"}

    world.targets = {"toy": f"{__name__}:After"}
    assert world.actions(SPEC)["training_job.first"] == "run"
    assert world.apply(SPEC)["training_job.first"] == "run"
    assert world.records()["training_job.first"].attributes["parts"] == {"all": 3}
    assert world.records()["deployment.shop"].attributes["colour"] == "red"
    assert world.actions(SPEC) == {}
