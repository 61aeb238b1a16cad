"""The request log: lines first, then Parquet; what is redacted is nowhere."""

import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.providers.serving_bench import body, bundle, call, handle, table, until

from mlform.sdk import ResourceError
from mlform_core.serving import columnar, log


def written(folder, entries):
    sink = log.RequestLog(folder, 1 << 30)
    for entry in entries:
        sink.put(entry)
    sink.close()
    (path,) = log.files(folder)
    return path


def exact(entries):
    """Round times as Parquet has them."""
    return [e and {**e, "t": pytest.approx(e["t"], abs=1e-6)} for e in entries]


texts = st.none() | st.text(st.characters(codec="utf-8"), max_size=5)
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
wholes = st.none() | st.integers(0, 2**64 - 1)


@st.composite
def answers(draw, predictions):
    rows = draw(st.integers(1, 4))

    def column(values):
        return draw(st.lists(values, min_size=rows, max_size=rows))

    return {
        "t": draw(st.floats(1e9, 2e9)),
        "id": draw(st.text(st.characters(codec="utf-8"), max_size=5)),
        "d": draw(st.sampled_from(["sha256:1", "sha256:2"])),
        "i": {"x": column(numbers), "flag": column(st.none() | st.booleans()), "s": column(texts)},
        "p": column(predictions),
        "k": {"order": [draw(st.integers(0, 2**64 - 1)), *column(wholes)[1:]]},
        **draw(st.sampled_from([{}, {"r": "shadow"}])),
    }


refusals = st.builds(
    lambda t, e, n: {"t": t, "id": None, "d": "sha256:1", "e": e, "n": n},
    st.floats(1e9, 2e9),
    st.text(st.characters(codec="utf-8"), max_size=9),
    st.integers(1, 9),
)
scores, labels = answers(st.floats(0, 1)), answers(st.sampled_from(["yes", "no"]))


@settings(max_examples=25, deadline=None)
@given(entries=st.lists(st.one_of(scores, labels, refusals), min_size=1, max_size=9))
def test_a_file_as_parquet_says_what_its_lines_said(entries, tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    path = written(folder, entries)
    before = list(log.entries(folder, None))
    assert [e for e, _ in before] == exact(entries)
    assert columnar.convert(path).suffix == ".parquet"
    assert not path.exists()
    after = list(log.entries(folder, None))
    assert [e for e, _ in after] == exact(entries)
    assert [c for _, c in after] == [c for _, c in before]
    for place, (_, cursor) in enumerate(before):
        assert not log.forgotten(folder, cursor)
        assert [e for e, _ in log.entries(folder, cursor)] == exact(entries[place + 1 :])


def test_a_damaged_line_stays_one(tmp_path):
    path = written(tmp_path, [{"t": 1.0, "d": "x", "i": {"a": [1]}, "p": [0.5]}])
    with path.open("ab") as sink:
        sink.write(b"{broken\n")
    columnar.convert(path)
    first, second = [e for e, _ in log.entries(tmp_path, None)]
    assert first["p"] == [0.5]
    assert second is None


def test_a_file_that_is_converted_while_it_is_read(tmp_path, monkeypatch):
    path = written(tmp_path, [{"t": 1.0, "d": "x", "i": {"a": [1]}, "p": [0.5]}])
    seen = log.files(tmp_path)
    columnar.convert(path)
    monkeypatch.setattr(log, "files", lambda _: seen)
    assert [e["p"] for e, _ in log.entries(tmp_path, None)] == [[0.5]]


def test_whole_files_become_parquet_by_themselves(tmp_path):
    # Two runs of a server: what the first left is whole when the second begins a file.
    written(tmp_path, [{"t": 1.0 + n, "d": "x", "i": {"a": [n]}, "p": [0.5]} for n in range(9)])
    sink = log.RequestLog(tmp_path, 1 << 30)
    sink.put({"t": 20.0, "d": "x", "i": {"a": [20]}, "p": [0.5]})
    sink.close()
    assert [p.suffix for p in log.files(tmp_path)] == [".parquet", ".ndjson"]
    assert [e["i"]["a"] for e, _ in log.entries(tmp_path, None)] == [*([n] for n in range(9)), [20]]
    assert {p.stat().st_mode & 0o077 for p in log.files(tmp_path)} == {0}


def test_large_whole_numbers_do_not_make_texts_of_the_others(tmp_path):
    asked = [{"t": 1.0, "id": "a", "d": "x", "i": {"a": [v]}, "p": [0.5]} for v in (1.5, 2**64 - 1)]
    path = written(tmp_path, asked)
    assert pd.read_parquet(columnar.convert(path))["input.a"].tolist() == [1.5, 2.0**64]


def test_a_file_that_cannot_be_converted_stays_and_holds_up_no_other(tmp_path, monkeypatch):
    entry = {"t": 1.0, "id": "a", "d": "x", "i": {"a": [1]}, "p": [0.5]}
    for inputs in ({"a": {"b": 1}}, {"a": [1]}, {"a": [1]}):
        sink = log.RequestLog(tmp_path, 1 << 30)
        sink.put({**entry, "i": inputs})
        sink.close()
    monkeypatch.setattr(sys, "argv", ["columnar", str(tmp_path)])
    columnar.main()
    assert [p.suffix for p in log.files(tmp_path)] == [".ndjson", ".parquet", ".ndjson"]


def test_a_log_that_cannot_be_written_is_written_again_once_it_can(tmp_path):
    folder = tmp_path / "log"
    folder.write_text("in the way")
    entry = {"t": 1.0, "id": "a", "d": "x", "i": {"a": [1]}, "p": [0.5]}
    sink = log.RequestLog(folder, 1 << 30)
    sink.put(entry)
    until(lambda: sink.lost == 1)
    folder.unlink()
    sink.put(entry)
    until(lambda: bool(list(log.entries(folder, None))))
    sink.close()
    assert [e for e, _ in log.entries(folder, None)] == [entry]


def test_what_was_on_its_way_to_a_full_disk_is_counted(tmp_path, monkeypatch):
    full = Path("/dev/full")
    monkeypatch.setattr(log.RequestLog, "_next", lambda _: full.open("ab"))
    sink = log.RequestLog(tmp_path, 1 << 30)
    for number in range(3):
        sink.put({"t": number})
    sink.close()
    assert sink.lost == 3


def test_an_entry_that_cannot_be_written_holds_up_no_other(tmp_path):
    sink = log.RequestLog(tmp_path, 1 << 30)
    for what in (1, object(), 3):
        sink.put({"t": what})
    sink.close()
    assert [e["t"] for e, _ in log.entries(tmp_path, None)] == [1, 3]
    assert sink.lost == 1


def test_no_more_is_kept_than_is_said_however_little_that_is(tmp_path):
    sink = log.RequestLog(tmp_path, keep=100_000)
    for number in range(3000):
        sink.put({"t": number, "p": ["x" * 50]})
    sink.close()
    assert 50_000 < sum(p.stat().st_size for p in log.files(tmp_path)) <= 100_000
    assert [e["t"] for e, _ in log.entries(tmp_path, None)][-1] == 2999


def test_rows_of_requests_can_be_queried(life):
    found = life.apply(bundle(life.ctx))
    rows = table()[:7]
    call(f"{found.url}/infer", {**body(rows), "id": "seven"})
    life.destroy()
    (path,) = log.files(life.ctx.home / "log")
    frame = pd.read_parquet(columnar.convert(path))
    assert frame["input.mean radius"].tolist() == rows["mean radius"].tolist()
    assert frame["input.size"].tolist() == rows["size"].tolist()
    assert frame["input.dense"].dtype == bool
    assert frame["id"].tolist() == ["seven"] * 7
    assert frame["prediction"].between(0, 1).all()
    assert str(frame["time"].dtype) == "datetime64[us, UTC]"


def test_keys_are_logged_and_kept_from_the_model(life):
    found = life.apply(bundle(life.ctx), log={"keys": ["patient"]})
    asked = body(table()[:2])
    key = {"name": "patient", "datatype": "BYTES", "shape": [2], "data": ["a-1", None]}
    with_key = {"inputs": [*asked["inputs"], key]}
    said = [call(f"{found.url}/infer", b)[1]["outputs"] for b in (asked, with_key)]
    assert said[0] == said[1]
    key["data"] = ["a-1"]
    status, refused = call(f"{found.url}/infer", with_key)
    assert status == 400
    assert '"patient" says which row is which' in refused["error"]
    tensors = call(f"{found.url.partition('/v2')[0]}/openapi.json")[1]["components"]["schemas"]
    assert "patient" in str(tensors["Request"])
    life.destroy()
    assert [e.get("k") for e in life.logged()] == [None, {"patient": ["a-1", None]}, None]
    (path,) = log.files(life.ctx.home / "log")
    columnar.convert(path)
    assert [e.get("k") for e in life.logged()] == [None, {"patient": ["a-1", None]}, None]


def test_what_is_redacted_is_written_nowhere(life):
    artifact = bundle(life.ctx)
    with pytest.raises(ResourceError, match="sise is no input of the model; it has dense"):
        life.apply(artifact, log={"redact": ["sise"]})
    found = life.apply(artifact, log={"redact": ["size"]}, shadow=handle(bundle(life.ctx, 0.1)))
    assert found.redacted == ["size"]
    rows = table()[:3].assign(size="a secret")
    call(f"{found.url}/infer", body(rows))
    wrong = body(rows)
    wrong["inputs"][3] |= {"datatype": "BYTES", "data": ["a secret", "a secret", 6]}
    assert call(f"{found.url}/infer", wrong)[0] == 400
    wrong["inputs"][0]["data"] = ["a secret", 1, 2]
    assert "a secret" in call(f"{found.url}/infer", wrong)[1]["error"]
    life.destroy()
    entries = life.logged()
    assert len(entries) == 4
    assert all("size" not in e["i"] for e in entries if "i" in e)
    assert sum(e.get("r") == "shadow" for e in entries) == 1
    assert [e["e"] for e in entries if "e" in e] == ["refused", "refused"]
    for path in (life.ctx.home / "log").iterdir():
        assert b"a secret" not in path.read_bytes()
