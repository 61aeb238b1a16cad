"""Lock files: which one counts, what each says, and what it means for the environment."""

import os

import pytest

from mlform.keys import ClosureCache, CodeError, astray, environment
from mlform.keys.lock import find_lock, read_lock

UV = """
version = 1
requires-python = ">=3.11"

[[package]]
name = "spec"
version = "0.1.0"
source = { virtual = "." }

[[package]]
name = "Scikit_Learn"
version = "1.7.0"
source = { registry = "https://example.org/simple" }
wheels = [{ url = "https://example.org/x.whl", hash = "sha256:00", size = 1 }]

[[package]]
name = "numpy"
version = "1.26.4"
resolution-markers = ["python_full_version < '3.12'"]

[[package]]
name = "numpy"
version = "2.3.0"

[[package]]
name = "from-a-folder"
source = { editable = "lib" }
"""
POETRY = """
[[package]]
name = "scikit-learn"
version = "1.7.0"
markers = "python_version >= '3'"

[[package]]
name = "pywin32"
version = "300"
markers = "sys_platform == 'win32'"

[[package]]
name = "numpy"
version = "2.3.0"
markers = { main = "python_version >= '3'" }
"""
PYLOCK = """
lock-version = "1.0"
created-by = "uv"

[[packages]]
name = "scikit-learn"
version = "1.7.0"

[[packages]]
name = "pywin32"
version = "300"
marker = "sys_platform == 'win32'"

[[packages]]
name = "numpy"
version = "2.3.0"
"""
REQUIREMENTS = """
# made by pip-compile
-r more.txt
scikit-learn[extra] == 1.7.0 ; python_version >= "3" --hash=sha256:00
pandas>=2
pywin32==300; sys_platform == "win32"
"""
MORE = """
numpy==2.3.0 \\
    --hash=sha256:00 \\
    --hash=sha256:01
"""
SAYS = {"scikit-learn": ("1.7.0",), "numpy": ("2.3.0",)}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("uv.lock", UV, SAYS | {"numpy": ("1.26.4", "2.3.0"), "spec": ("0.1.0",)}),
        ("poetry.lock", POETRY, SAYS),
        ("pylock.toml", PYLOCK, SAYS),
        ("requirements.txt", REQUIREMENTS, SAYS),
    ],
)
def test_what_a_lock_file_says(tmp_path, name, text, says):
    (tmp_path / "more.txt").write_text(MORE)
    (tmp_path / name).write_text(text)
    assert dict(read_lock(tmp_path / name).versions) == says
    cache = ClosureCache(tmp_path / "cache.json")
    assert cache.lock(tmp_path) == read_lock(tmp_path / name)


def test_the_nearest_counts_and_what_a_tool_resolves_before_exports(tmp_path):
    spec = tmp_path / "project" / "specs" / "one"
    spec.mkdir(parents=True)
    (tmp_path / "uv.lock").write_text(UV)
    (tmp_path / "project" / ".git").mkdir()
    assert find_lock(spec) is None
    for name in ("requirements.txt", "pylock.toml", "poetry.lock", "uv.lock"):
        (tmp_path / "project" / name).write_text("")
        assert find_lock(spec) == tmp_path / "project" / name
    (spec / "requirements.txt").write_text("")
    assert find_lock(spec) == spec / "requirements.txt"


@pytest.mark.parametrize(
    ("name", "text"),
    [("uv.lock", "version = "), ("pylock.toml", "a = 1"), ("poetry.lock", "package = [1]")],
)
def test_a_lock_file_that_is_none_is_told(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(CodeError, match=name):
        ClosureCache(None).lock(tmp_path)


def test_a_lock_is_read_again_only_if_it_moved(tmp_path):
    path = tmp_path / "uv.lock"
    path.write_text(UV)
    os.utime(path, (1, 1))
    first = ClosureCache(tmp_path / "cache.json")
    assert first.lock(tmp_path).versions["scikit-learn"] == ("1.7.0",)
    path.write_text(UV.replace("1.7.0", "1.8.0"))
    assert first.lock(tmp_path).versions["scikit-learn"] == ("1.8.0",)
    first.save()
    again = ClosureCache(tmp_path / "cache.json")
    assert again.lock(tmp_path).versions["scikit-learn"] == ("1.8.0",)


def test_what_is_installed_counts_and_what_is_not_is_as_locked(tmp_path, monkeypatch):
    for name, version in (("one", "1.0"), ("two", "2.0")):
        (tmp_path / f"{name}-{version}.dist-info").mkdir()
        text = f"Name: {name}\nVersion: {version}\nRequires-Dist: three\n\n"
        (tmp_path / f"{name}-{version}.dist-info" / "METADATA").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "requirements.txt").write_text("one==1.1\ntwo==2.0\nthree==3.0\nfour==4.0\n")
    lock = read_lock(tmp_path / "requirements.txt")
    found = environment(["one", "two"], lock)
    assert {n: v for n, v in found.items() if n != "python"} == {
        "one": "1.0",
        "two": "2.0",
        "three": "3.0",
    }
    assert astray(found, lock) == ["one 1.0 (locked: 1.1)"]
