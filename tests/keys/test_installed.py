import platform
import sys
from importlib.metadata import packages_distributions, version

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.version import Version

from mlform.keys import environment
from mlform.keys.installed import top_level_names
from mlform.keys.markers import holds


def test_it_has_the_versions_of_all_that_is_required():
    found = environment(["scikit-learn", "Pandas"])
    assert found["python"] == ".".join(platform.python_version_tuple()[:2])
    for name in ("scikit-learn", "pandas", "numpy", "scipy", "joblib", "threadpoolctl"):
        assert found[name] == version(name)
    assert not {"pytest", "matplotlib"} & found.keys(), "extras do not count"
    assert found == environment(["pandas", "scikit_learn"])


def test_what_is_not_installed_is_absent():
    assert environment(["No.Such_Thing"])["no-such-thing"] == "absent"


def test_an_upgrade_is_seen(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    text = (
        "Metadata-Version: 2.1\nName: Toy\nVersion: {}\nRequires-Dist: numpy (>=1) ; {}\n\nText\n"
    )
    for number, marker, required in (
        ("1.0", "python_version >= '3'", True),
        ("2.0", "python_version < '3'", False),
        ("3.0", "extra == 'fast'", False),
    ):
        for old in tmp_path.glob("*.dist-info"):
            (old / "METADATA").unlink()
            old.rmdir()
        folder = tmp_path / f"toy-{number}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(text.format(number, marker))
        found = environment(["toy"])
        assert found["toy"] == number
        assert ("numpy" in found) == required


def test_modules_belong_to_the_distributions_the_standard_library_says():
    ours = top_level_names()
    for module, names in packages_distributions().items():
        if module.isidentifier() and module in {
            "sklearn",
            "pandas",
            "numpy",
            "yaml",
            "hcl2",
            "rich",
        }:
            assert set(ours[module]) == {n.lower().replace("_", "-") for n in names}


NUMBERS = st.one_of(
    st.from_regex(
        r"(1!)?[0-3]\.[0-9](\.[0-2])?((a|b|rc)[0-2])?(\.post[0-2])?(\.dev[0-2])?", fullmatch=True
    ),
    st.sampled_from(["3.11", "3.9", "3.11.0", "3.10", "4"]),
)


@given(one=NUMBERS, other=NUMBERS, operator=st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
def test_versions_compare_as_pep_440_says(one, other, operator):
    import operator as operators

    from mlform.keys.markers import _compare

    name = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}[operator]
    expected = getattr(operators, name)(Version(one), Version(other))
    assert _compare(one, operator, other, versions=True) == expected


MARKERS = [
    "python_version >= '3.9'",
    'python_version < "3.9" and sys_platform == "win32"',
    "python_version<'3.9' or sys_platform=='linux'",
    "(python_version < '3' or os_name == 'posix') and platform_system != 'Windows'",
    "python_version == '3.*'",
    "python_version != '3.11.*'",
    "python_version ~= '3.8'",
    "python_full_version >= '3.11.0rc1'",
    "platform_python_implementation == 'CPython'",
    "implementation_name == 'pypy'",
    "sys_platform in 'linux darwin'",
    "sys_platform not in 'linux darwin'",
    "platform_machine == 'x86_64' or (platform_machine == 'aarch64')",
    "'linux' == sys_platform",
    "extra == 'test'",
    "extra == 'test' or python_version >= '3.9'",
    "python_version >= '3.10' and python_version < '3.12'",
    "implementation_version >= '3'",
]


@pytest.mark.parametrize("marker", MARKERS)
def test_markers_hold_as_packaging_says(marker):
    assert holds(marker) == Marker(marker).evaluate({"extra": ""})


@pytest.mark.parametrize("marker", ["", "nonsense ==", "python_version >> '3'", "a b c", "("])
def test_a_marker_nobody_understands_counts(marker):
    assert holds(marker)


def test_reading_imports_no_library():
    import subprocess

    code = (
        "import sys; from mlform.keys import environment; environment(['pandas', 'scikit-learn']);"
        "print({'pandas', 'numpy', 'sklearn', 'pydantic', 'packaging'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"
