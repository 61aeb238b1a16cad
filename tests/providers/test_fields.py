"""Every argument of every type that comes along does what its class says."""

from __future__ import annotations

import pytest
from tests.engine.lab import Thing

from mlform.plan import Action
from mlform.registry import Registry
from mlform.sdk import AnyResource
from mlform.testing.fields import check_fields

TYPES = [offer.resource for offer in Registry().offers()]


@pytest.mark.parametrize("resource", [*TYPES, Thing()], ids=lambda r: f"{r.kind}-{r.type}")
def test_a_change_of_a_field_does_what_its_class_says(resource: AnyResource) -> None:
    assert check_fields(resource)


def test_classes_are_told_apart() -> None:
    found = check_fields(Thing())
    assert (found["value"], found["key"]) == (Action.UPDATE, Action.REPLACE)
    assert "token" not in found
