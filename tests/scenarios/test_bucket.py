"""Artifacts in a bucket: a real S3-speaking server, real commands."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from tests.scenarios.bucket import ENVIRONMENT, SECRET, Server, free_port, server
from tests.scenarios.command import Folder

from mlform.address import Address
from mlform.artifacts import FileDigests, LocalStore
from mlform.artifacts.collect import object_name
from mlform.artifacts.errors import StoreError
from mlform.artifacts.remote import RemoteStore
from mlform.artifacts.s3 import S3Blobs
from mlform.commands.copying import push
from mlform.commands.queries import validate as check
from mlform.commands.session import Session
from mlform.commands.storing import collect, verify
from mlform.diagnostics import DiagnosedError
from mlform.refresh.claims import Claims

SPEC = """
mlform {{
  store {{
    url          = "{url}"
    endpoint_url = "{endpoint}"
  }}
}}
dataset "file" "d" {{
  path = "data.csv"
}}
"""


@pytest.fixture(scope="module")
def s3() -> Iterator[Server]:
    with server() as it:
        yield it


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def folder(path: Path, spec: str) -> Folder:
    path.mkdir()
    (path / "main.mlf.hcl").write_text(spec)
    (path / "data.csv").write_text("a,b\n1,2\n3,4\n")
    return Folder(path, ENVIRONMENT)


def test_what_one_folder_made_another_takes_and_what_rots_is_made_again(
    s3: Server, tmp_path: Path
) -> None:
    url = s3.bucket("taken") + "/some/prefix"
    spec = SPEC.format(url=url, endpoint=s3.url)
    one, two = folder(tmp_path / "one", spec), folder(tmp_path / "two", spec)
    assert one.apply() == {"dataset.d": "run"}
    assert two.apply() == {"dataset.d": "reuse"}
    # What was read of it is only a cache.
    shutil.rmtree(one.path / ".mlform/store")
    assert one.actions() == {}
    said = one.mlform("store", "pull", "-json").lines[-1]
    assert said["objects"] >= 2 and not said["missing"]
    # Nobody's data go while somebody holds them.
    assert one.mlform("store", "gc", "-json").data["objects"] == []
    with pytest.raises(DiagnosedError, match="Grace time is too short"):
        collect(Session(one.path), grace=0)
    kept = b"".join(p.read_bytes() for f in (one, two) for p in f.path.rglob("*") if p.is_file())
    assert SECRET.encode() not in kept
    record = Session(one.path).snapshot().records[Address.parse("dataset.d")]
    shutil.rmtree(one.path / ".mlform/store")
    blobs = S3Blobs(url, s3.url)
    blobs.write(object_name(record.attributes["digests"]["digest"]), b"rotten")
    found = one.mlform("store", "verify", expect=1)
    assert "corrupt" in found.out and "Used by dataset.d" in found.out
    assert len(list(blobs.list("corrupt"))) == 1
    assert one.apply() == {"dataset.d": "run"}
    assert not verify(Session(one.path)).corrupt


def test_a_server_that_cannot_be_reached_loses_nothing(tmp_path: Path) -> None:
    port = free_port()
    spec = SPEC.format(url="s3://away/x", endpoint=f"http://127.0.0.1:{port}")
    one = folder(tmp_path / "one", spec)
    said = one.mlform("apply", "-auto-approve", expect=1)
    assert "Artifact store cannot be used" in said.err
    assert (
        f"http://127.0.0.1:{port}" in said.err and "Nothing that was recorded is lost" in said.err
    )
    with server(port) as it:
        it.bucket("away")
        assert one.apply() == {"dataset.d": "run"}
    # What is in the cache is enough to see that there is nothing to do.
    assert one.actions() == {}
    with pytest.raises(StoreError):
        push(Session(one.path), None, None, lambda *_: None)


def test_push_to_a_bucket_and_pull_what_was_lost(s3: Server, tmp_path: Path) -> None:
    one = folder(tmp_path / "one", 'dataset "file" "d" {\n  path = "data.csv"\n}\n')
    one.apply()
    place = s3.bucket("backup") + "/of/one"
    first = one.mlform("store", "push", place, "-endpoint-url", s3.url, "-json").lines
    assert first[-1]["objects"] == first[-2]["total"] >= 2
    again = push(Session(one.path), place, s3.url, lambda *_: None)
    assert (again.objects, again.there) == (0, first[-1]["objects"])
    shutil.rmtree(one.path / ".mlform/store/objects")
    assert one.actions() == {"dataset.d": "run"}
    one.mlform("store", "pull", place, "-endpoint-url", s3.url)
    assert one.actions() == {}
    shutil.rmtree(one.path / ".mlform/store/objects")
    lost = one.mlform("store", "pull", s3.bucket("empty"), "-endpoint-url", s3.url, expect=1)
    assert "recorded, and in neither store" in lost.out


def test_of_many_who_put_the_same_one_does(s3: Server, tmp_path: Path) -> None:
    blobs = S3Blobs(s3.bucket("raced"), s3.url)
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100_000)
    with ThreadPoolExecutor(8) as pool:
        put = list(pool.map(lambda _: blobs.create("objects/one", file), range(8)))
    assert put.count(True) == 1
    assert blobs.read("objects/one") == file.read_bytes()
    assert blobs.stat("objects/none") is None
    with pytest.raises(FileNotFoundError):
        blobs.read("objects/none")


def test_of_many_who_claim_a_key_one_has_it(s3: Server) -> None:
    blobs = S3Blobs(s3.bucket("claimed"), s3.url)
    with ThreadPoolExecutor(8) as pool:
        had = list(pool.map(lambda n: blobs.claim("claims/k", f"{n}".encode()), range(8)))
    assert had.count(True) == 1
    assert blobs.read("claims/k") == f"{had.index(True)}".encode()
    key, about, never = "k", {"address": "training_job.a"}, Event()
    with Claims(blobs).made(key, about, print, never) as waited:
        assert not waited
        said: list[str] = []
        stop = Event()
        with Claims(blobs).made(key, about, lambda text: (said.append(text), stop.set()), stop):
            assert "is making the same result" in said[0]
    with Claims(blobs).made(key, about, print, never) as waited:
        assert not waited


def test_what_comes_from_afar_is_verified(s3: Server, tmp_path: Path) -> None:
    url = s3.bucket("verified")
    here, there = (RemoteStore(tmp_path / n, url, s3.url) for n in ("here", "there"))
    digest = here.put_bytes(b"what it was").digest
    assert digest in there and there.read(digest) == b"what it was"
    assert there.sound(digest, FileDigests(tmp_path / "digests"))
    other = LocalStore(tmp_path / "x").put_bytes(b"something else").digest
    here.blobs.write(object_name(other), b"something bad")
    with pytest.raises(KeyError):
        there.read(other)
    assert not (tmp_path / "there" / object_name(other)).exists()


def test_a_bucket_that_is_not_there_is_said(s3: Server, tmp_path: Path) -> None:
    store = RemoteStore(tmp_path / "here", "s3://nowhere/x", s3.url)
    with pytest.raises(StoreError, match="Artifact store cannot be used"):
        store.put_bytes(b"x")


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ('url = "s3://user:pass@bucket"', "A URL holds no credentials"),
        ('url = "https://bucket"', '"https://bucket" names no bucket'),
        ('path = "x"\n endpoint_url = "http://x"', "there is no `url`"),
        ('url = "s3://b"\n endpoint_url = "x"', "`endpoint_url` is an address"),
        ("", "in a folder (path"),
        ("url = 3", "`url` is a string"),
    ],
)
def test_a_store_block_that_is_wrong_is_said(tmp_path: Path, block: str, said: str) -> None:
    one = folder(tmp_path / "one", f"mlform {{\n  store {{\n {block}\n  }}\n}}\n")
    with pytest.raises(DiagnosedError, match=re.escape(said)):
        check(Session(one.path))
