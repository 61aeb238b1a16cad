"""A file is read once, and again whenever it might have changed."""

import hashlib
import os
import time

import pytest

from mlform.artifacts import FileDigests, digests


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "loans.csv"
    made.write_text("a,b\n1,2\n")
    return made


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache" / "files.json"


@pytest.fixture
def read(monkeypatch):
    """Every file that was hashed."""
    found, real = [], hashlib.file_digest

    def file_digest(source, name):
        found.append(source.name)
        return real(source, name)

    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    return found


@pytest.fixture
def later(monkeypatch):
    """Let some seconds pass."""
    real, ahead = time.time_ns, [0]
    monkeypatch.setattr(time, "time_ns", lambda: real() + ahead[0])

    def wait(seconds):
        ahead[0] += int(seconds * 1e9)

    return wait


def digest_of(path):
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def test_read_once(file, cache, read, later):
    later(10)
    kept = FileDigests(cache)
    assert kept.digest(file) == kept.digest(file) == digest_of(file)
    kept.save()
    assert FileDigests(cache).digest(file) == digest_of(file)
    assert len(read) == 1


def test_one_file_by_two_names(file, cache, read, later, monkeypatch):
    later(10)
    monkeypatch.chdir(file.parent)
    kept = FileDigests(cache)
    assert kept.digest(file) == kept.digest(file.relative_to(file.parent))
    assert len(read) == 1


def test_young_is_not_trusted(file, cache, read):
    """Written within the clock's grain of being hashed: its stat would not show a change."""
    kept = FileDigests(cache)
    assert kept.digest(file) == kept.digest(file)
    kept.save()
    FileDigests(cache).digest(file)
    assert len(read) == 3


@pytest.mark.parametrize("restore", [False, True], ids=["", "with its old time"])
def test_changed_in_place_at_the_same_size(file, cache, later, restore):
    later(10)
    kept = FileDigests(cache)
    first = kept.digest(file)
    stat = file.stat()
    file.write_text("a,b\n1,3\n")
    if restore:
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert kept.digest(file) == digest_of(file) != first


def test_replaced_by_another(file, cache, later):
    later(10)
    kept = FileDigests(cache)
    kept.digest(file)
    other = file.with_name("other")
    other.write_text("a,b\n1,4\n")
    other.replace(file)
    assert kept.digest(file) == digest_of(file)


def test_what_cannot_be_read(file, cache, later):
    later(10)
    kept = FileDigests(cache)
    kept.digest(file)
    file.unlink()
    with pytest.raises(FileNotFoundError):
        kept.digest(file)
    with pytest.raises(IsADirectoryError):
        kept.digest(file.parent)


def test_remembered_is_made_once(cache):
    made = []

    def make():
        made.append(1)
        return {"rows": 7, "columns": ["a", "b"]}

    kept = FileDigests(cache)
    assert kept.remember("t", make) == kept.remember("t", make)
    kept.save()
    assert FileDigests(cache).remember("t", make) == {"rows": 7, "columns": ["a", "b"]}
    assert len(made) == 1
    kept.remember("u", make)
    assert len(made) == 2


def test_what_could_not_be_made_is_not_remembered(cache):
    kept = FileDigests(cache)
    with pytest.raises(ZeroDivisionError):
        kept.remember("t", lambda: {"x": 1 / 0})
    assert kept.remember("t", lambda: {"x": 1}) == {"x": 1}


def test_the_oldest_is_forgotten_first(cache):
    kept = FileDigests(cache)
    for number in range(20_002):
        kept.remember(f"t{number}", lambda number=number: {"n": number})
    kept.save()
    found = FileDigests(cache)
    anew = {"n": "made anew"}
    for number in (2, 3, 20_001):
        assert found.remember(f"t{number}", lambda: anew) == {"n": number}
    for number in (0, 1):
        assert found.remember(f"t{number}", lambda: anew) == anew


def test_a_damaged_cache_is_a_new_one(file, cache, later):
    later(10)
    kept = FileDigests(cache)
    kept.digest(file)
    kept.remember("t", lambda: {"n": 1})
    kept.save()
    whole = cache.read_bytes()
    damaged = [whole[:cut] for cut in range(0, len(whole), 7)]
    damaged += [
        whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :] for at in range(len(whole))
    ]
    damaged += [b"[]", b'{"version":1,"files":{},"remembered":{}}', b"null", whole + b" "]
    for content in damaged:
        cache.write_bytes(content)
        found = FileDigests(cache)
        assert found.digest(file) == digest_of(file)
        assert found.remember("t", lambda: {"n": 2}) == {"n": 2}, content
        found.save()
        assert FileDigests(cache).remember("t", lambda: {"n": 3}) == {"n": 2}


def test_the_cache_is_one_file_of_text(file, cache, later):
    later(10)
    names = [file, file.with_name("två\n rader.csv"), file.with_name("a\udcff.csv")]
    kept = FileDigests(cache)
    for name in names:
        name.write_text(f"a\n{len(str(name))}\n")
    later(10)
    found = [kept.digest(name) for name in names]
    kept.save()
    assert list(cache.parent.iterdir()) == [cache]
    head, inside, *_ = cache.read_bytes().decode(errors="surrogateescape").split("\0")
    assert head.partition("{}\n")[2] == str(file.parent)
    assert inside.split("/") == [name.name for name in names]
    assert [FileDigests(cache).digest(name) for name in names] == found


@pytest.fixture
def folders(tmp_path):
    """Files in two folders, by name."""
    found = [tmp_path / folder / f"{n}.csv" for folder in ("a", "b") for n in range(20)]
    for path in found:
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"n\n{path}\n")
    return found


def test_many_are_what_each_is(folders, cache, read, later):
    later(10)
    kept, names = FileDigests(cache), [str(path) for path in folders]
    assert kept.digests(names) == [digest_of(path) for path in folders]
    kept.save()
    read.clear()
    mixed = names[::3] + names[1::3]
    again = FileDigests(cache)
    assert again.digests(names) == [digest_of(path) for path in folders]
    assert again.digests(mixed) == [again.digest(name) for name in mixed]
    assert again.digests(names) == [digest_of(path) for path in folders]
    assert read == []


def test_of_many_those_that_moved_are_read(folders, cache, read, later):
    later(10)
    kept, names = FileDigests(cache), [str(path) for path in folders]
    kept.digests(names)
    kept.save()
    folders[3].write_text("n\nother\n")
    folders[25].unlink()
    later(10)
    read.clear()
    again = FileDigests(cache)
    there = [name for name in names if name != names[25]]
    assert again.digests(there) == [digest_of(path) for path in folders if path.exists()]
    assert read == [names[3]]
    again.save()
    assert FileDigests(cache).digests(there) == again.digests(there)
    assert read == [names[3]]
    with pytest.raises(FileNotFoundError, match=f"{folders[25]}"):
        FileDigests(cache).digests(names)


def test_of_too_many_those_looked_at_last_are_kept(folders, cache, read, later, monkeypatch):
    monkeypatch.setattr(digests, "_MOST_FILES", 25)
    later(10)
    kept, names = FileDigests(cache), [str(path) for path in folders]
    kept.digests(names)
    kept.save()
    read.clear()
    FileDigests(cache).digests(names)
    assert read == names[:15]


def test_nothing_moved_nothing_written(cache):
    FileDigests(cache).save()
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_costs_time_only(file, later):
    later(10)
    kept = FileDigests(file / "files.json")
    assert kept.digest(file) == digest_of(file)
    kept.save()
    assert kept.digest(file) == digest_of(file)
