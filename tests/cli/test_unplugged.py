"""pydantic as commands load it says what it says elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys

CHECKED = """
import dataclasses
from typing import Annotated, Any, Literal
import annotated_types
from pydantic import (
    AfterValidator, AliasChoices, AliasPath, BaseModel, BeforeValidator, ConfigDict, Discriminator,
    Field, PlainSerializer, PlainValidator, SkipValidation, StringConstraints, Tag, TypeAdapter,
    ValidationError, WithJsonSchema, WrapValidator, computed_field, conint, field_serializer,
    field_validator, model_serializer, model_validator,
)

class Cat(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    kind: Literal["cat"]
    lives: Annotated[int, annotated_types.Interval(ge=1, lt=10)] = Field(9, alias="left")
    name: Annotated[str, StringConstraints(min_length=2, to_upper=True)] = "tom"

class Dog(BaseModel):
    kind: Literal["dog"]
    bone: str = Field(validation_alias=AliasChoices("bone", AliasPath("in", "bone")))

class All(BaseModel):
    pet: Annotated[Annotated[Cat, Tag("cat")] | Annotated[Dog, Tag("dog")],
                   Discriminator(lambda v: v.get("kind") if isinstance(v, dict) else v.kind)]
    even: Annotated[int, AfterValidator(lambda v: v // (v % 2 == 0)), BeforeValidator(int)] = 2
    few: Annotated[list[conint(gt=0, multiple_of=3)], Field(max_length=2)] = []
    shown: Annotated[int, PlainSerializer(lambda v: f"<{v}>"), WithJsonSchema({"x": 1})] = 1
    free: SkipValidation[int] = 0
    odd: Annotated[Any, WrapValidator(lambda v, inner: [inner(v)])] = None

    @computed_field
    @property
    def size(self) -> int: return self.even + self.shown

    @field_validator("even", mode="before")
    @classmethod
    def _even(cls, value): return int(value) + 0

    @model_validator(mode="after")
    def _whole(self):
        assert self.even < 100, "too large"
        return self

for given in (
    {"pet": {"kind": "cat", "left": 3, "name": "tim"}, "odd": 5},
    {"pet": {"kind": "cat", "left": 10}},
    {"pet": {"kind": "dog", "in": {"bone": "b"}}, "few": [3, 6]},
    {"pet": {"kind": "dog"}, "few": [4]},
    {"pet": {"kind": "cow"}},
    {"pet": {"kind": "cat", "more": 1, "name": "x"}, "even": 3},
    {"even": 200},
):
    try:
        made = All.model_validate(given)
        print(made, made.model_dump(), made == made.model_copy(), made.model_dump_json())
    except (ValidationError, ZeroDivisionError) as error:
        print(str(error).replace(hex(id(All)), ""))
print(All.model_json_schema(), All.model_fields)
print(TypeAdapter(list[Cat]).validate_python([{"kind": "cat"}]))
bounds = annotated_types.Interval(ge=1), annotated_types.Interval(ge=1), annotated_types.Gt(2)
print(bounds, bounds[0] == bounds[1], {*bounds} == {*bounds[1:]}, list(bounds[0]))
print(dataclasses.fields(bounds[2]), dataclasses.replace(bounds[2], gt=4))
print(dataclasses.asdict(bounds[0]))
try:
    bounds[2].gt = 3
except AttributeError as error:
    print(error)
"""


def test_what_pydantic_says_in_a_command_is_what_it_says_elsewhere():
    unplug = "from mlform.cli.unplugged import unplug\nunplug()\n"
    said = [
        subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for text in (CHECKED, unplug + CHECKED)
    ]
    assert len(said[0]) > 20
    assert [re.sub(" at 0x[0-9a-f]+", "", it) for it in said[1]] == [
        re.sub(" at 0x[0-9a-f]+", "", it) for it in said[0]
    ]
