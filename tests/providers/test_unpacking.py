"""Files that others packed: bombs, and members that lead elsewhere."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest
from tests.scenarios.command import Folder

from mlform.sdk import ResourceError
from mlform.sdk.testing import FakeContext
from mlform_core import bundles, skops_files, sources, unpacking
from mlform_core.drift_windows import reference
from mlform_core.models import told

ZEROS = b"0" * (1 << 20)


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def bomb(path: Path, megabytes: int) -> Path:
    """Write a zip of one member of so many megabytes, a thousandth of that itself."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("data.csv", "w") as member,
    ):
        for _ in range(megabytes):
            member.write(ZEROS)
    return path


def test_a_zip_bomb_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    path = bomb(tmp_path / "data.csv.zip", 300)
    assert path.stat().st_size < 3 << 20
    with pytest.raises(ResourceError, match="more than 200 times"):
        sources.read(path, "csv", path.name)


def test_a_gzip_bomb_is_stopped_on_the_way(tmp_path: Path) -> None:
    path = tmp_path / "data.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as sink:
        for _ in range(300):
            sink.write(ZEROS[:-1] + b"\n")
    with pytest.raises(ResourceError, match="unpacks to more than"):
        sources.read(path, "csv", path.name)


def test_a_zip_that_lies_about_its_size_gives_no_more_than_it_says(tmp_path: Path) -> None:
    data = bytearray(bomb(tmp_path / "x.zip", 2).read_bytes())
    real, told = (2 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little")
    path = tmp_path / "data.csv.zip"
    path.write_bytes(bytes(data).replace(real, told))
    with pytest.raises(ResourceError, match="cannot be read as csv"):
        sources.read(path, "csv", path.name)


def test_what_is_packed_well_is_read(tmp_path: Path) -> None:
    text = b"a,b\n" + b"1,2\n" * 200_000
    (tmp_path / "z.csv.zip").write_bytes(zipped({"inside.csv": text}))
    (tmp_path / "z.csv.gz").write_bytes(gzip.compress(text))
    for name in ("z.csv.zip", "z.csv.gz"):
        assert sources.read(tmp_path / name, "csv", name).num_rows == 200_000


@pytest.mark.parametrize(
    "name", ["../schema.json", "/etc/passwd", "a/../../b", "..\\evil", "C:/x", "\\\\server\\x"]
)
def test_members_that_lead_out_are_refused(name: str) -> None:
    with pytest.raises(unpacking.UnpackingError, match="leads out of it"):
        skops_files.canonical(zipped({name: b"{}"}))


def test_links_are_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("schema.json")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(unpacking.UnpackingError, match="is a link"):
        skops_files.canonical(buffer.getvalue())


def test_a_foreign_skops_file_that_is_a_bomb_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "main.mlf.hcl").write_text(
        'dataset "file" "d" {\n  path = "d.csv"\n}\n'
        'training_job "sklearn" "m" {\n  data = dataset.d\n  split = null\n  target = "b"\n'
        '  estimator = "sklearn.linear_model.LogisticRegression"\n}\n'
    )
    (tmp_path / "d.csv").write_text("a,b\n" + "1,0\n2,1\n" * 20)
    bomb(tmp_path / "model.skops", 300)
    one = Folder(tmp_path)
    one.apply("-target", "dataset.d")
    said = one.mlform("import", "training_job.m", "model.skops", expect=1)
    assert "more than 200 times" in " ".join(said.err.split())


def test_the_reference_of_a_bundle_is_read_with_the_same_care(tmp_path: Path) -> None:
    ctx = FakeContext(tmp_path)
    packed = zipped({"meta.json": b"{}", "reference.json": ZEROS})
    path = tmp_path / "model.mlform"
    path.write_bytes(packed)
    with pytest.raises(bundles.BundleError, match="compressed member"):
        told(path)
    digest = ctx.artifacts.put_bytes(packed).digest
    with pytest.raises(ResourceError, match="has no reference"):
        reference(ctx, digest)
