"""Files that are there whole or not at all."""

import os
import stat

import pytest

from mlform.files import keep, kept, write_file


def test_a_file_is_written_with_the_permissions_that_it_has(tmp_path):
    file = tmp_path / "a"
    write_file(file, b"one")
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~_umask()
    file.chmod(0o640)
    write_file(file, b"two")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"two", 0o640)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_link_stays_one(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for data in (b"one", b"two"):
        write_file(tmp_path / "link", data)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "file").read_bytes() == data


def test_a_pipe_is_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_file(tmp_path / "pipe", b"one")
    assert os.read(reader, 10) == b"one"
    os.close(reader)


def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    write_file(tmp_path / "a", b"one")
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(OSError, match="full"):
        write_file(tmp_path / "a", b"two")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a", b"one")]


def test_what_a_crash_left_beside_it_goes_in_time(tmp_path):
    old, new = tmp_path / ".a.1-ff.tmp", tmp_path / ".a.2-ff.tmp"
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (1, 1))
    write_file(tmp_path / "a", b"whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".a.2-ff.tmp", "a"]


def test_what_is_kept_is_found_as_it_was_or_not_at_all(tmp_path):
    file = tmp_path / "folder" / "a"
    assert kept(file) is None
    keep(file, b"data\nmore")
    assert kept(file) == b"data\nmore"
    content = file.read_bytes()
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert kept(file) is None
        file.write_bytes(content[:place])
        assert kept(file) is None


def test_what_cannot_be_kept_is_not(tmp_path):
    (tmp_path / "a").write_text("a file")
    keep(tmp_path / "a" / "b", b"data")
    (tmp_path / "folder").mkdir()
    keep(tmp_path / "folder", b"data")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "folder"]


def _umask():
    now = os.umask(0)
    os.umask(now)
    return now


def _full(_descriptor):
    raise OSError(28, "disk is full")
