import json
import os
from pathlib import Path

import pytest

from mlform.files import keep, kept
from mlform.keys import ClosureCache, CodeError, changed_code, closure

FLIGHTS = '''
import json
from features.helpers import scale

LIMIT = 3

class Model:
    size = 1

    def fit(self, x):
        return x

    def score(self, x):
        return 1

def build(frame, n=2):
    """Build it."""
    def inner():
        "Docstring"
        return n
    return scale(frame) + inner() + LIMIT
'''
HELPERS = "from . import deep\n\ndef scale(x):\n    return deep.one(x)\n"
DEEP = "import importlib\nimport features.flights\n\ndef one(x):\n    return x\n"


@pytest.fixture
def root(tmp_path):
    write(tmp_path, "features/__init__.py", "")
    write(tmp_path, "features/flights.py", FLIGHTS)
    write(tmp_path, "features/helpers.py", HELPERS)
    write(tmp_path, "features/deep.py", DEEP)
    write(tmp_path, "other.py", "X = 1\n")
    return tmp_path


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def read(root, reference="features/flights.py:build", cache=None):
    return closure(root, reference, cache or ClosureCache(None))


def edited(root, old, new, name="features/flights.py"):
    """The closure before and after an edit."""
    before = read(root)
    text = (root / name).read_text()
    assert old in text
    write(root, name, text.replace(old, new, 1))
    return before, read(root)


def test_it_has_every_first_party_file_and_its_functions(root):
    found = read(root)
    assert {f: sorted(names) for f, names in found.files.items()} == {
        "features/__init__.py": [],
        "features/deep.py": ["<module>", "one"],
        "features/flights.py": ["<module>", "Model", "Model.fit", "Model.score", "build"],
        "features/helpers.py": ["<module>", "scale"],
    }
    assert found.digest.startswith("sha256:")
    assert found.third_party == frozenset()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 3  # three"),
        ("LIMIT = 3", "LIMIT: int = 3"),
        ("LIMIT = 3", "LIMIT = (\n    3\n)\n"),
        ("LIMIT = 3", "LIMIT = 0x3"),
        ('"""Build it."""', '"""Build it well."""'),
        ('"""Build it."""', ""),
        ('"Docstring"', "pass"),
        ("def build(frame, n=2):", "def build(frame: 'Frame', n: int=2) -> list[int]:"),
        ("def build(frame, n=2):", "\n\n\ndef build(\n    frame,\n    n=2,\n):"),
        ("import json\n", "import json\nfrom typing import TYPE_CHECKING, Any\n"),
        ("import json\n", "from __future__ import annotations\nimport json\n"),
        ("def score(self, x):", "def score(self, x: int) -> int:"),
        ("return scale", "total: int\n    return scale"),
    ],
)
def test_what_does_not_change_the_result_does_not_change_the_digest(root, old, new):
    before, after = edited(root, old, new)
    assert after.digest == before.digest
    assert changed_code(before.files, after.files) == []


def test_imports_for_the_type_checker_alone_do_not_count(root):
    block = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import other\n"
    before, after = edited(root, "import json\n", f"import json\n{block}")
    assert (after.digest, after.files) == (before.digest, before.files)


def test_functions_may_move_within_their_file(root):
    write(root, "move.py", "A = 1\ndef f():\n    return A\ndef g():\n    return 2\n")
    before = read(root, "move.py:f").digest
    write(root, "move.py", "def g():\n    return 2\nA = 1\ndef f():\n    return A\n")
    assert read(root, "move.py:f").digest == before


def test_what_runs_on_import_may_not(root):
    write(root, "move.py", "A = 1\n@register\ndef f(): pass\n@register\ndef g(): pass\n")
    before = read(root, "move.py:f").digest
    write(root, "move.py", "A = 1\n@register\ndef g(): pass\n@register\ndef f(): pass\n")
    assert read(root, "move.py:f").digest != before


@pytest.mark.parametrize(
    ("name", "old", "new", "changed"),
    [
        ("flights", "return scale(frame) +", "return scale(frame) -", "build"),
        ("flights", "n=2", "n=3", "build"),
        ("flights", "return n", "return -n", "build"),
        ("flights", "LIMIT = 3", "LIMIT = 3.0", "<module>"),
        ("flights", "LIMIT = 3", "LIMIT = True", "<module>"),
        ("flights", "return x", "return x + 1", "Model.fit"),
        ("flights", "size = 1", "size: int = 1", "Model"),
        ("flights", "size = 1", "size = 2", "Model"),
        ("flights", "class Model:", "class Model(dict):", "Model"),
        ("helpers", "deep.one(x)", "deep.one(-x)", "scale"),
        ("deep", "return x", "return [x]", "one"),
        ("deep", "def one", "def two(): return 1\ndef one", "two"),
    ],
)
def test_a_change_is_found_and_named(root, name, old, new, changed):
    file = f"features/{name}.py"
    before, after = edited(root, old, new, file)
    assert after.digest != before.digest
    assert changed_code(before.files, after.files) == [f"{file}:{changed}"]


def test_files_that_come_and_go_are_named(root):
    before, after = edited(root, "import json", "import json, other")
    assert changed_code(before.files, after.files) == [
        "features/flights.py:<module>",
        "other.py",
    ]
    assert changed_code(after.files, before.files)[1] == "other.py"


def test_annotations_that_work_are_kept(root):
    text = "from dataclasses import dataclass\n@dataclass\nclass C:\n    a: int\n"
    write(root, "data.py", text)
    before = read(root, "data.py:C").digest
    write(root, "data.py", text + "    b: int\n")
    second = read(root, "data.py:C").digest
    write(root, "data.py", "@single\ndef f(x: int): return x\n")
    first = read(root, "data.py:f").digest
    write(root, "data.py", "@single\ndef f(x: str): return x\n")
    assert before != second
    assert first != read(root, "data.py:f").digest


def test_an_unrelated_file_does_not_count(root):
    before = read(root)
    write(root, "other.py", "X = 2\n")
    write(root, "features/new.py", "Y = 1\n")
    assert read(root) == before


def test_the_function_counts_and_the_folder_does_not(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for file in root.rglob("*.py"):
        write(elsewhere, file.relative_to(root).as_posix(), file.read_text())
    assert read(root) == read(elsewhere)
    assert read(root).digest != read(root, "features/flights.py:Model").digest


def test_swapping_two_files_counts(root):
    write(root, "a.py", "def f(): return 1\n")
    write(root, "b.py", "def f(): return 2\n")
    write(root, "entry.py", "import a, b\ndef go(): return a.f()\n")
    before = read(root, "entry.py:go").digest
    write(root, "a.py", "def f(): return 2\n")
    write(root, "b.py", "def f(): return 1\n")
    assert read(root, "entry.py:go").digest != before


@pytest.mark.parametrize(
    ("statement", "files"),
    [
        ("import pkg.sub.leaf", ["pkg/__init__.py", "pkg/sub/leaf.py"]),
        ("from pkg import top", ["pkg/__init__.py", "pkg/top.py"]),
        ("from pkg import VALUE", ["pkg/__init__.py"]),
        ("from pkg.sub import leaf as l", ["pkg/__init__.py", "pkg/sub/leaf.py"]),
        ("from pkg.sub.leaf import *", ["pkg/__init__.py", "pkg/sub/leaf.py"]),
        ("import importlib\nimportlib.import_module('pkg.top')", ["pkg/__init__.py", "pkg/top.py"]),
        ("def f():\n    from pkg import top", ["pkg/__init__.py", "pkg/top.py"]),
        ("try:\n    import pkg\nexcept ImportError:\n    pkg = None", ["pkg/__init__.py"]),
        ("import bare.module", ["bare/module.py"]),
        ("from bare import module", ["bare/module.py"]),
        ("from . import other", ["other.py"]),
        ("import bare", []),
        ("from listed import *", ["listed/__init__.py", "listed/sub.py"]),
        (
            "from importlib import import_module as m\nm('pkg.top')",
            ["pkg/__init__.py", "pkg/top.py"],
        ),
        ("import importlib\nimportlib.import_module(name='bare.module')", ["bare/module.py"]),
        ("import importlib\nimportlib.import_module('.module', 'bare')", ["bare/module.py"]),
        ("import importlib\nimportlib.import_module('.other', __package__)", ["other.py"]),
        ("__import__('bare.module', fromlist=['x'])", ["bare/module.py"]),
        ("import pkg.missing", ["pkg/__init__.py"]),
    ],
)
def test_each_way_to_import(root, statement, files):
    write(root, "pkg/__init__.py", "VALUE = 1\n")
    write(root, "pkg/top.py", "from ..pkg.sub.leaf import f\n" if "sub" in statement else "")
    write(root, "pkg/sub/leaf.py", "def f(): pass\n")
    write(root, "bare/module.py", "")
    write(root, "listed/__init__.py", "__all__ = ['sub', 'other']\nother = 1\n")
    write(root, "listed/sub.py", "")
    write(root, "entry.py", f"{statement}\ndef go(): pass\n")
    found = read(root, "entry.py:go")
    assert sorted(found.files) == sorted(["entry.py", *files])
    assert found.third_party == frozenset()


def test_relative_imports_climb(root):
    write(root, "a/b/entry.py", "from ..side import f\nfrom ... import other\ndef go(): pass\n")
    write(root, "a/side.py", "def f(): pass\n")
    write(root, "a/b/far.py", "from ..... import nowhere\ndef go(): pass\n")
    assert sorted(read(root, "a/b/entry.py:go").files) == ["a/b/entry.py", "a/side.py", "other.py"]
    assert "leaves the spec's folder" in read(root, "a/b/far.py:go").notes[0]


def test_third_party_modules_become_distributions(root):
    text = "import json, yaml_of_nobody\nimport sklearn.linear_model\nfrom mlform import sdk\n"
    write(root, "lib.py", f"{text}def go():\n    import pandas as pd\n")
    write(root, "entry.py", "from lib import go\n")
    found = read(root, "entry.py:go")
    assert found.third_party == {"sklearn", "pandas", "yaml_of_nobody"}
    assert found.distributions == {"scikit-learn", "pandas"}
    assert found.unresolved == {"yaml_of_nobody"}


def test_a_computed_import_is_noted(root):
    write(root, "entry.py", "import importlib\ndef go(n):\n    importlib.import_module(n)\n")
    assert read(root, "entry.py:go").notes == (
        "entry.py:3: code loaded by a computed name is not followed",
    )


@pytest.mark.parametrize(
    "way",
    [
        "go = lambda: 1",
        "from other import X as go",
        "import go",
        "if 1:\n    def go(): pass",
        "from other import *",
        "go, come = 1, 2",
        "with x as go: pass",
    ],
)
def test_a_function_may_be_bound_in_any_way(root, way):
    write(root, "entry.py", f"{way}\n")
    assert read(root, "entry.py:go").digest


@pytest.mark.parametrize(
    ("reference", "summary", "detail"),
    [
        ("missing.py:go", "Code not found", "missing.py does not exist"),
        ("other.py:Y", "Code not found", 'other.py defines no "Y"'),
        ("features/flights.py:biuld", "Code not found", 'Did you mean "build"?'),
        ("features/flights.py:inner", "Code not found", 'defines no "inner"'),
        ("book.ipynb:go", "Code in a notebook", "Move the function into a .py file"),
        ("book.ipynb", "Code in a notebook", "Move the function into a .py file"),
        ("other.py", "Invalid code reference", "path/to/file.py:function"),
        ("../other.py:go", "Invalid code reference", "leads out of the folder"),
        ("/other.py:go", "Invalid code reference", "leads out of the folder"),
    ],
)
def test_wrong_references_are_told(root, reference, summary, detail):
    with pytest.raises(CodeError) as error:
        read(root, reference)
    assert error.value.summary == summary
    assert detail in error.value.detail


@pytest.mark.parametrize("text", ["def f(:\n", "x = '\0'\n", "\n\nx = (\n", "é = 1 \udcff"])
def test_invalid_code_anywhere_is_told_with_its_place(root, text):
    (root / "features/deep.py").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CodeError, match=r"features/deep\.py") as error:
        read(root)
    assert error.value.summary == "Invalid Python code"


def test_deep_and_large_code_is_read(root):
    chain = " + ".join(["x"] * 900)
    write(root, "entry.py", f"def go(x):\n    y = 0x{'f' * 5000}\n    return '\\d' + {chain}\n")
    assert read(root, "entry.py:go").digest


class TestCache:
    def test_a_warm_cache_reads_no_file(self, root, tmp_path, monkeypatch):
        cold = ClosureCache(tmp_path / "cache" / "code.json")
        before = read(root, cache=cold)
        _age(cold)
        cold.save()
        warm = ClosureCache(tmp_path / "cache" / "code.json")
        monkeypatch.setattr("mlform.keys.cache.read", _refuse)
        monkeypatch.setattr("pathlib.Path.read_bytes", _only("code.json"))
        assert read(root, cache=warm) == before

    def test_touching_a_file_parses_nothing(self, root, monkeypatch):
        cache = ClosureCache(None)
        before = read(root, cache=cache)
        os.utime(root / "features/deep.py", (1, 1))
        monkeypatch.setattr("mlform.keys.cache.read", _refuse)
        assert read(root, cache=cache) == before

    def test_a_quick_edit_of_equal_length_is_seen(self, root):
        cache = ClosureCache(None)
        digests = set()
        for number in range(5):
            write(root, "quick.py", f"def go(): return {number}\n")
            digests.add(read(root, "quick.py:go", cache).digest)
        assert len(digests) == 5

    @pytest.mark.parametrize(
        "damage",
        [b"", b"{", b"[]", b"\xff\xfe", b'{"format": [1, 3, 11], "files": {"a": 3}}', b"[" * 99999],
    )
    @pytest.mark.parametrize("write", [Path.write_bytes, keep])
    def test_a_damaged_cache_starts_anew(self, root, tmp_path, damage, write):
        path = tmp_path / "code.json"
        before = read(root)
        write(path, damage)
        cache = ClosureCache(path)
        assert read(root, cache=cache) == before
        cache.save()
        assert json.loads(kept(path))["files"]
        assert list(tmp_path.glob("code.json?*")) == []

    def test_a_cache_that_cannot_be_written_is_no_error(self, root, tmp_path):
        (tmp_path / "code.json").mkdir()
        cache = ClosureCache(tmp_path / "code.json")
        assert read(root, cache=cache) == read(root)
        cache.save()
        assert list(tmp_path.glob("code.json*")) == [tmp_path / "code.json"]

    def test_files_that_are_gone_leave_the_cache(self, root, tmp_path):
        path = tmp_path / "code.json"
        cache = ClosureCache(path)
        read(root, cache=cache)
        read(root, "other.py:X", cache)
        (root / "other.py").unlink()
        cache.save()
        assert len(json.loads(kept(path))["files"]) == 4

    def test_distributions_survive_in_it(self, root, tmp_path, monkeypatch):
        write(root, "entry.py", "import pandas as go\n")
        cache = ClosureCache(tmp_path / "code.json")
        assert read(root, "entry.py:go", cache).distributions == {"pandas"}
        cache.save()
        monkeypatch.setattr("mlform.keys.cache.top_level_names", _refuse)
        warm = ClosureCache(tmp_path / "code.json")
        assert read(root, "entry.py:go", warm).distributions == {"pandas"}


def _refuse(*_):
    raise AssertionError("the cache should have known")


def _only(name):
    from pathlib import Path

    real = Path.read_bytes

    def read_bytes(self):
        assert self.name == name, f"{self} was read"
        return real(self)

    return read_bytes


def _age(cache):
    """Let the files have last changed long before the cache saw them."""
    for entry in cache._entries.values():
        entry.seen += 10**9


@pytest.mark.parametrize(
    "loading",
    [
        "importlib.import_module(name)",
        "importlib.import_module('.x', name)",
        "runpy.run_path('x.py')",
        "importlib.util.spec_from_file_location('x', 'x.py')",
        "exec(open('x.py').read())",
    ],
)
def test_code_that_cannot_be_followed_is_noted(root, loading):
    write(root, "entry.py", f"import importlib, runpy\ndef go(name):\n    {loading}\n")
    (note,) = read(root, "entry.py:go").notes
    assert note.startswith("entry.py:3:")


@pytest.mark.parametrize(
    "pieces",
    [
        ("def f():\n    return 1\n", "f = None\n"),
        ("def f():\n    return 1\n", "from other import *\n"),
        (
            "def f():\n    return 1\n",
            "try:\n    from other import f\nexcept ImportError:\n    pass\n",
        ),
        ("class C:\n    def f(self):\n        return 1\n    f = None\n",) * 2,
    ],
)
def test_what_binds_a_name_last_counts(root, pieces):
    one, two = pieces
    if one == two:
        two = "class C:\n    f = None\n    def f(self):\n        return 1\n"
    else:
        one, two = one + two, two + one
    tail = "def go(): pass\n"
    write(root, "entry.py", one + tail)
    before = read(root, "entry.py:go").digest
    write(root, "entry.py", two + tail)
    assert read(root, "entry.py:go").digest != before


def test_namespaces_are_ours_unless_a_package_of_that_name_is_installed(root):
    write(root, "sklearn/mine.py", "def f(): pass\n")
    write(root, "bare/module.py", "")
    write(root, "entry.py", "import bare.module\nimport sklearn.mine\ndef go(): pass\n")
    found = read(root, "entry.py:go")
    assert found.distributions == {"scikit-learn"}
    assert found.unresolved == frozenset()


def test_cycles_end(root):
    write(root, "one.py", "import two\ndef go(): pass\n")
    write(root, "two.py", "from one import go\n")
    assert sorted(read(root, "one.py:go").files) == ["one.py", "two.py"]


def test_names_that_a_package_passes_on_bring_the_code_behind_them(root):
    write(root, "kit/__init__.py", "from .inner import f\n")
    write(root, "kit/inner.py", "def f():\n    return 1\n")
    write(root, "entry.py", "from kit import f\ndef go():\n    return f()\n")
    before = read(root, "entry.py:go")
    write(root, "kit/inner.py", "def f():\n    return 3\n")
    after = read(root, "entry.py:go")
    assert changed_code(before.files, after.files) == ["kit/inner.py:f"]
