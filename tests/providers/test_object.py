"""``dataset "object"``: a real S3-speaking server, real requests."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import pytest
import s3fs
from tests.providers.changing import DATASET, PINNED, Roomy
from tests.scenarios.bucket import ENVIRONMENT, SECRET, Server, server
from tests.scenarios.command import Folder

from mlform.refresh.world import aliased_classes
from mlform.sdk import ResourceError
from mlform.sdk.testing import FakeContext, check_resource
from mlform.testing.changes import check_changes
from mlform_core.object import Object, ObjectArguments

FRAME = pd.DataFrame({"id": range(40), "x": [n / 4 for n in range(40)]})


@pytest.fixture(scope="module")
def s3() -> Iterator[Server]:
    with server() as it:
        yield it


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(s3: Server, request: pytest.FixtureRequest) -> Any:
    files = s3fs.S3FileSystem(
        client_kwargs={"endpoint_url": s3.url}, use_listings_cache=False, skip_instance_cache=True
    )
    files.name = f"b{abs(hash(request.node.name))}"
    s3.bucket(files.name)
    return files


def put(bucket: Any, name: str, frame: pd.DataFrame) -> None:
    sink = io.BytesIO()
    frame.to_parquet(sink, index=False)
    bucket.pipe_file(f"{bucket.name}/{name}", sink.getvalue())


def arguments(s3: Server, bucket: Any, path: str, **given: Any) -> ObjectArguments:
    where = {"url": f"s3://{bucket.name}/{path}", "endpoint_url": s3.url}
    return ObjectArguments.model_validate(where | given)


def applied(ctx: FakeContext, new: ObjectArguments) -> Any:
    ctx.inputs = Object().inputs(ctx, new)
    return Object().apply(ctx, new, None)


def test_it_keeps_the_promises_of_every_resource(tmp_path: Path, s3: Server, bucket: Any) -> None:
    bucket.pipe_file(
        f"{bucket.name}/d/one.csv.gz", gzip.compress(FRAME.to_csv(index=False).encode())
    )
    first = arguments(s3, bucket, "d/one.csv.gz")
    second = arguments(s3, bucket, "d/one.csv.gz", key=["id"], columns=["id"])
    before, after = check_resource(
        Object(), first, second, FakeContext(tmp_path), exists=lambda _: first.url
    )
    assert before.attributes.rows == 40 and list(after.attributes.columns) == ["id"]


def test_a_change_is_planned_as_its_class_says_and_leaves_nothing_to_do(
    tmp_path: Path, s3: Server, bucket: Any
) -> None:
    enabled = {"Status": "Enabled"}
    bucket.call_s3("put_bucket_versioning", Bucket=bucket.name, VersioningConfiguration=enabled)
    frame = FRAME.assign(g="a", t=pd.Timestamp("2024-01-02"), x=1, y=2.0)
    for folder in ("d", "e", "in/k=1"):
        put(bucket, f"{folder}/a.parquet", frame)
        bucket.chmod(f"{bucket.name}/{folder}/a.parquet", "public-read")
    given = {"url": f'"s3://{bucket.name}/d/*"', "endpoint_url": f'"{s3.url}"'}
    changes = {
        "url": f'"s3://{bucket.name}/e/*"',
        "format": '"parquet"',
        "endpoint_url": f'"http://localhost:{s3.port}"',
        "anonymous": "true",
        "hive": {"hive": "true", "url": f'"s3://{bucket.name}/in/*/*"'},
        "versions": "true",
        **PINNED,
    }
    changes = {**DATASET, **changes}
    assert changes.keys() == aliased_classes(Object()).keys()
    spec = 'dataset "object" "it" {\nARGUMENTS\n}'
    with mock.patch("mlform.execute.LocalExecutor", return_value=Roomy()):
        planned = check_changes(tmp_path, spec, "dataset.it", given, changes)
    assert planned.keys() == changes.keys()


def test_prefixes_and_globs_are_partitions_and_rows_are_told_without_reading(
    tmp_path: Path, s3: Server, bucket: Any
) -> None:
    put(bucket, "d/year=2025/a.parquet", FRAME[:10])
    put(bucket, "d/year=2026/a.parquet", FRAME[10:])
    bucket.pipe_file(f"{bucket.name}/d/_SUCCESS", b"yes")
    ctx = FakeContext(tmp_path)
    made = applied(ctx, arguments(s3, bucket, "d/", hive=True))
    assert ctx.inputs.rows == 40 and made.columns == {
        "id": "int64",
        "x": "float64",
        "year": "int64",
    }
    assert list(made.partitions) == ["year=2025/a.parquet", "year=2026/a.parquet"]
    assert list(applied(ctx, arguments(s3, bucket, "d/*/a.parquet")).partitions) == list(
        made.partitions
    )
    put(bucket, "d/year=2026/a.parquet", FRAME[10:30])
    ctx.made = 0
    after = applied(ctx, arguments(s3, bucket, "d/", hive=True))
    assert ctx.inputs.rows == 30 == after.rows
    assert ctx.made == 3  # the object, the table and the facts of 2026


def test_an_old_version_is_in_the_store_or_in_a_bucket_that_keeps_versions(
    tmp_path: Path, s3: Server, bucket: Any
) -> None:
    put(bucket, "d.parquet", FRAME)
    plain = arguments(s3, bucket, "d.parquet")
    ctx = FakeContext(tmp_path)
    before = applied(ctx, plain)
    pinned = ctx.inputs
    bucket.call_s3(
        "put_bucket_versioning", Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"}
    )
    put(bucket, "d.parquet", FRAME[:30])
    versioned = arguments(s3, bucket, "d.parquet", versions=True)
    old = Object().inputs(ctx, versioned)
    put(bucket, "d.parquet", FRAME[:20])
    assert Object().inputs(ctx, versioned) != old
    ctx.inputs = pinned
    assert Object().apply(ctx, plain, None).partitions == before.partitions
    elsewhere = FakeContext(tmp_path / "elsewhere", inputs=old)
    assert Object().apply(elsewhere, versioned, None).rows == 30
    third = FakeContext(tmp_path / "third", inputs=pinned)
    with pytest.raises(ResourceError, match="mlform update"):
        Object().apply(third, plain, None)
    bucket.rm_file(f"{bucket.name}/d.parquet")
    with pytest.raises(ResourceError, match="not there any more"):
        Object().apply(third, plain, None)


def test_what_is_wrong_is_said(
    tmp_path: Path, s3: Server, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.pipe_file(f"{bucket.name}/d/odd.txt", b"a,b\n1,2\n")
    bucket.pipe_file(f"{bucket.name}/d/broken.parquet", b"no")
    ctx = FakeContext(tmp_path)
    assert applied(ctx, arguments(s3, bucket, "d/odd.txt", format="csv")).rows == 1
    away = ObjectArguments(url=f"s3://{bucket.name}/d/x.csv", endpoint_url="http://127.0.0.1:9")
    wrong = [
        (arguments(s3, bucket, "d/odd.txt"), "Say what they are"),
        (arguments(s3, bucket, "none/"), "names no object"),
        (ObjectArguments(url="s3://not-there-1/x.csv", endpoint_url=s3.url), "names no object"),
        (arguments(s3, bucket, "d/broken.parquet"), "cannot be read as parquet"),
        (away, "endpoint_url"),
    ]
    for new, said in wrong:
        with pytest.raises(ResourceError, match=said) as caught:
            Object().inputs(ctx, new)
        assert SECRET not in str(caught.value)
    for call, what in (("put_bucket_acl", {}), ("put_object_acl", {"Key": "d/odd.txt"})):
        bucket.call_s3(call, Bucket=bucket.name, ACL="public-read", **what)
    for name in ENVIRONMENT:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ResourceError, match="Credentials are taken from"):
        Object().inputs(ctx, arguments(s3, bucket, "d/odd.txt", format="csv"))
    assert Object().inputs(ctx, arguments(s3, bucket, "d/odd.txt", format="csv", anonymous=True))


def test_commands_pin_it_update_it_and_say_what_waits(
    tmp_path: Path, s3: Server, bucket: Any
) -> None:
    put(bucket, "d/1.parquet", FRAME[:10])
    (tmp_path / "main.mlf.hcl").write_text(f"""
dataset "object" "d" {{
  url          = "s3://{bucket.name}/d/*.parquet"
  endpoint_url = "{s3.url}"
  version      = {{ mode = "pin" }}
}}
""")
    folder = Folder(tmp_path, ENVIRONMENT)
    assert folder.apply() == {"dataset.d": "run"}
    put(bucket, "d/2.parquet", FRAME[10:])
    plan = folder.mlform("plan").out
    assert "2.parquet new at the source, +30 rows" in plan
    assert "dataset.d: 1 new, 0 changed of 2 objects: +30 rows, 40 in all" in plan
    assert "dataset.d: x: 2.5 … 9.75 in what arrived, 0 … 2.25 before" in plan
    assert "No changes" in plan
    folder.mlform("update")
    assert folder.apply() == {"dataset.d": "run"}
    put(bucket, "d/2.parquet", FRAME[10:].assign(y=1))
    folder.edit("main.mlf.hcl", "  version ", '  columns = ["id", "y"]\n  version ')
    said = folder.mlform("apply", "-auto-approve", expect=1).err
    assert "There is no column y in 1.parquet" in said
    assert "mlform update" not in said, "that object is what it was"
    put(bucket, "d/1.parquet", FRAME[:10].assign(y=1))
    said = folder.mlform("apply", "-auto-approve", expect=1).err
    assert "at the source there is y by now. `mlform update dataset.d` takes" in said
