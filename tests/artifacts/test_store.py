"""What is put is what is read, or it is not there."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlform.artifacts import LocalStore
from mlform.sdk import Artifact

ROOT = Path(__file__).parents[2]


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def files(folder):
    return [p for p in folder.rglob("*") if p.is_file()]


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


def again(store):
    """The same store as another process finds it: nothing verified yet."""
    return LocalStore(store.root)


def rot(store, artifact, data=b"something else"):
    """Change an object where it lies."""
    path = again(store).path(artifact.digest)
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)
    return path


@pytest.mark.parametrize("data", [b"", b"x", os.urandom((1 << 20) + 1), bytes(3 << 20)])
def test_what_is_put_is_read(store, tmp_path, data):
    file = tmp_path / "file"
    file.write_bytes(data)
    by_bytes, by_file = store.put_bytes(data, "text/plain"), store.put_file(file)
    assert by_bytes.digest == by_file.digest == digest_of(data)
    assert by_bytes.size == by_file.size == len(data)
    assert (by_bytes.media_type, by_file.media_type) == ("text/plain", "application/octet-stream")
    for one in (store, again(store)):
        assert by_bytes.digest in one
        assert one.read(by_bytes.digest) == data
        assert one.path(by_bytes.digest).read_bytes() == data


def test_an_object_lies_under_its_digest_and_is_read_only(store):
    path = store.path(store.put_bytes(b"loans").digest)
    name = hashlib.sha256(b"loans").hexdigest()
    assert path == store.root / "objects" / "sha256" / name[:2] / name[2:]
    assert path.stat().st_mode & 0o777 == 0o444


def test_put_again_renews_the_time_and_writes_nothing(store):
    first = store.put_bytes(b"loans")
    path = store.path(first.digest)
    before = path.stat()
    os.utime(path, (1, 1))
    assert again(store).put_bytes(b"loans") == first
    after = path.stat()
    assert (after.st_ino, after.st_mode, after.st_size) == (before.st_ino, before.st_mode, 5)
    assert after.st_mtime > 1, "what was put again is not old to `store gc`"
    assert len(files(store.root)) == 1


@pytest.mark.parametrize(
    "digest",
    ["sha256:" + "0" * 64, "", "sha256:", "sha256:ab", "sha256:../../x", "0" * 64, None, 3],
)
def test_what_is_not_there(store, digest):
    store.put_bytes(b"loans")
    assert digest not in store
    with pytest.raises(KeyError):
        store.path(digest)
    with pytest.raises(KeyError):
        store.read(digest)


def test_a_corrupt_object_is_set_aside_and_can_be_put_again(store):
    artifact = store.put_bytes(b"loans")
    rot(store, artifact)
    found = again(store)
    with pytest.raises(KeyError):
        found.read(artifact.digest)
    assert artifact.digest not in found
    (aside,) = files(store.root / "corrupt")
    assert aside.read_bytes() == b"something else"
    assert found.put_bytes(b"loans") == artifact
    assert again(store).read(artifact.digest) == b"loans"


@pytest.mark.parametrize("by", ["bytes", "file"])
def test_put_heals_a_corrupt_object(store, tmp_path, by):
    artifact = store.put_bytes(b"loans")
    rot(store, artifact)
    (tmp_path / "file").write_bytes(b"loans")
    found = again(store)
    put = found.put_bytes(b"loans") if by == "bytes" else found.put_file(tmp_path / "file")
    assert put == artifact
    assert again(store).read(artifact.digest) == b"loans"


def test_an_object_that_was_removed(store):
    artifact = store.put_bytes(b"loans")
    store.path(artifact.digest).unlink()
    assert artifact.digest not in store
    with pytest.raises(KeyError):
        store.read(artifact.digest)
    assert store.put_bytes(b"loans") == artifact
    assert store.read(artifact.digest) == b"loans"


@settings(deadline=None)
@given(st.text(), st.text())
def test_any_key_is_a_key(tmp_path_factory, key, other):
    store = LocalStore(tmp_path_factory.getbasetemp() / "memo")
    one, two = store.put_bytes(b"1"), store.put_bytes(b"2")
    store.memo_put(key, one)
    assert store.memo_get(key) == one
    store.memo_put(other, two)
    assert store.memo_get(other) == two
    assert store.memo_get(key) == (two if key == other else one)


def test_what_an_action_gave(store):
    key = "sha256:" + "a" * 64
    assert store.memo_get(key) is None
    artifact = store.put_bytes(b"model", "application/zip")
    store.memo_put(key, artifact)
    assert again(store).memo_get(key) == artifact
    (entry,) = files(store.root / "actions")
    assert entry == store.root / "actions" / "aa" / ("a" * 62)


def test_an_action_whose_object_is_gone_or_corrupt_gave_nothing(store):
    gone, corrupt = store.put_bytes(b"1"), store.put_bytes(b"2")
    store.memo_put("gone", gone)
    store.memo_put("corrupt", corrupt)
    store.path(gone.digest).unlink()
    rot(store, corrupt)
    found = again(store)
    assert found.memo_get("gone") is None
    assert found.memo_get("corrupt") is None


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b'{"digest": "sha256:x", "size": 1}'])
def test_a_damaged_action_entry_is_none(store, text):
    store.memo_put("k", store.put_bytes(b"1"))
    (entry,) = files(store.root / "actions")
    entry.write_bytes(text)
    assert store.memo_get("k") is None


@pytest.mark.parametrize("acknowledged", [1, 4, 15])
def test_killed_while_putting(store, acknowledged):
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.artifacts.worker", str(store.root)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = [writer.stdout.readline() for _ in range(acknowledged)]
    writer.kill()
    lines += [line for line in writer.communicate()[0].splitlines() if len(line.split()) == 2]
    for line in lines:
        key, digest = line.split()
        if len(digest) == 71:
            assert store.memo_get(key).digest == digest
            assert digest_of(store.read(digest)) == digest
    objects = store.root / "objects" / "sha256"
    for path in files(objects):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.parent.name + path.name


def test_one_content_from_many_sides_at_once(store):
    data, begin = os.urandom(2 << 20), threading.Barrier(6)
    found = []

    def put():
        mine = again(store)
        begin.wait()
        found.append(mine.put_bytes(data).digest)
        found.append(digest_of(mine.read(found[-1])))

    threads = [threading.Thread(target=put) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [digest_of(data)] * 12
    assert len(files(store.root)) == 1


def test_a_put_that_fails_leaves_nothing(store, tmp_path):
    with pytest.raises(FileNotFoundError):
        store.put_file(tmp_path / "missing")
    unreadable = Path("/proc/self/mem")  # opens, and fails on the first read
    if unreadable.exists():
        with pytest.raises(OSError, match="Input/output error"):
            store.put_file(unreadable)
    assert not store.root.exists() or files(store.root) == []


def test_what_a_killed_process_left_is_cleared_after_a_day(store):
    store.put_bytes(b"1")
    incoming = store.root / "incoming"
    old, young = incoming / "1-old", incoming / "2-young"
    for left in (old, young):
        left.write_bytes(b"half")
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))
    again(store).put_bytes(b"2")
    assert not old.exists()
    assert young.exists()


def test_artifact_is_of_the_sdk(store):
    assert isinstance(store.put_bytes(b""), Artifact)


def test_a_checkout_is_the_callers_own(store: LocalStore, tmp_path: Path) -> None:
    digest = store.put_bytes(b"as it was").digest
    store.checkout(digest, tmp_path / "mine")
    (tmp_path / "mine").write_bytes(b"edited")
    assert store.read(digest) == b"as it was"
    with pytest.raises(FileExistsError):
        store.checkout(digest, tmp_path / "mine")
    with pytest.raises(KeyError):
        store.checkout("sha256:" + "0" * 64, tmp_path / "other")


def test_of_many_objects_a_missing_one_is_missed(tmp_path, monkeypatch):
    monkeypatch.setattr("mlform.artifacts.store._MANY", 10)
    store = LocalStore(tmp_path)
    made = [store.put_bytes(str(number).encode()) for number in range(300)]
    sizes = {it.digest: it.size for it in made}
    assert store.has_all(sizes)
    few = dict(list(sizes.items())[:20])
    assert store.has_all(few), "a store of far more than is asked for"
    store.remove(made[7].digest)
    assert not store.has_all(sizes)
    del sizes[made[7].digest]
    assert store.has_all(sizes) and not store.has_all({**sizes, "no digest": 1})


def test_an_object_of_another_size_is_not_there(store):
    it = store.put_bytes(b"as it was")
    assert store.has_all({it.digest: it.size})
    path = store.path(it.digest)
    path.chmod(0o644)
    path.write_bytes(b"as it")
    assert not store.has_all({it.digest: it.size})
