"""Which provider implements what: found by name, loaded late, and explained when missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.engine.world import TARGET, Judge

from mlform.diagnostics import DiagnosedError
from mlform.registry import KINDS, Registry
from mlform.sdk import AnyResource, Provider
from mlform.sdk.provider import Settings
from mlform_core import Core

MODULE = "tests.engine.test_registry"


class StrictSettings(Settings):
    """Settings of a provider that has some."""

    colour: str
    depth: int = 1


class Strict(Provider):
    """A provider that wants to be told something."""

    settings = StrictSettings

    def resources(self) -> Sequence[AnyResource]:
        return [Judge()]


def test_types_are_found_by_kind_and_name() -> None:
    registry = Registry({"toy": TARGET})
    offer = registry.find("training_job", "node")
    assert offer is not None
    assert (offer.provider, offer.target, offer.resource.kind) == ("toy", TARGET, "training_job")
    assert registry.find("training_job", "node") is offer
    assert registry.find("training_job", "nod") is None
    assert registry.find("gate", "node") is None
    assert registry.types("gate") == ["most"]
    assert {o.resource.kind for o in registry.offers()} <= set(KINDS)


def test_triggers_are_the_engines_own_and_need_no_provider() -> None:
    offer = Registry({}).find("trigger", "")
    assert offer is not None
    assert offer.target is None


def test_a_provider_is_loaded_only_when_it_may_be_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lazy_provider.py").write_text("raise RuntimeError('it was imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry({"most": TARGET, "lazy": "lazy_provider:It"})
    assert list(registry.providers()) == ["most", "lazy"]
    assert registry.find("gate", "most") is not None
    assert "lazy_provider" not in sys.modules


def test_the_installed_providers_are_found() -> None:
    registry = Registry()
    assert {"core", "sklearn"} <= set(registry.providers())
    assert "file" in registry.types("dataset")


def test_a_missing_type_is_explained() -> None:
    registry = Registry({"toy": TARGET, "gone": "no_such_module:It"})
    text = registry.missing("training_job", "nod")
    assert 'No installed provider offers training_job "nod"' in text
    assert 'Did you mean "node"?' in text
    assert "Installed providers: toy, gone." in text
    assert "gone could not be loaded: No module named 'no_such_module'." in text
    assert "none" in Registry({}).missing("gate", "x")


def test_a_provider_whose_target_is_wrong_is_named_rather_than_raised() -> None:
    registry = Registry({"odd": f"{MODULE}:Nowhere"})
    assert registry.find("gate", "most") is None
    assert "odd could not be loaded" in registry.missing("gate", "most")


def test_settings_reach_the_provider_and_are_checked() -> None:
    target = {"strict": f"{MODULE}:Strict"}
    registry = Registry(target, {"strict": {"colour": "red"}})
    offer = registry.find("gate", "most")
    assert offer is not None
    assert offer.settings == {"colour": "red"}

    with pytest.raises(DiagnosedError) as caught:
        Registry(target, {"strict": {"depth": "deep"}}).find("gate", "most")
    detail = caught.value.diagnostics.errors[0].detail
    assert 'Provider "strict"' in detail
    assert "colour" in detail
    assert "depth" in detail


def test_the_first_of_two_providers_with_the_same_type_wins_by_name() -> None:
    registry = Registry({"b": TARGET, "a": TARGET})
    offer = registry.find("gate", "most")
    assert offer is not None
    assert offer.provider == "a"


def test_one_type_is_found_without_loading_the_others() -> None:
    core = Core(Settings())
    whole = {(r.kind, r.type): type(r) for r in core.resources()}
    for (kind, type_), found in whole.items():
        assert type(core.resource(kind, type_)) is found
    assert core.resource("dataset", "nothing") is None
    look = (
        "import sys; from mlform.registry import Registry; Registry().find('dataset', 'file');"
        "print('mlform_core.file' in sys.modules, 'mlform_core.http' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
