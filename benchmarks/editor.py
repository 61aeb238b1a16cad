"""How long an editor waits: 1,000 resources in ten files, through the protocol.

    python benchmarks/editor.py [N] [EDITS]

A client opens one of the files, changes it, and waits for its problems; asks for completions and
for what stands at a place. Reported are medians over the edits: by the clock, and what the server
used of the processor meanwhile. The problems of a change include the pause of a tenth of a second
in which the server waits for more of them.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

HEAD = """
variable "depth" {
  type    = number
  default = 5
}

locals {
  target = "y"
}

dataset "file" "d" {
  path = "d.csv"
}
"""
JOB = """
training_job "sklearn" "{name}" {{
  data      = dataset.d
  target    = local.target
  estimator = "sklearn.linear_model.LogisticRegression"
  params    = {{ max_iter = {n}, C = var.depth * 0.5 }}
  seed      = {n}
}}
"""


def write(root: Path, count: int) -> str:
    """Write the spec; return the text of its first file."""
    first = ""
    for part in range(10):
        jobs = [JOB.format(name=f"job_{part}_{n}", n=n + 1) for n in range(count // 10)]
        text = (HEAD if part == 0 else "") + "".join(jobs)
        (root / f"part{part}.mlf.hcl").write_text(text, encoding="utf-8")
        first = first or text
    (root / "d.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    return first


def used(process: int) -> float:
    """Return the CPU seconds of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def measure(root: Path, text: str, edits: int) -> None:
    """Open, edit and ask; print the medians."""
    client = LanguageClient("benchmark", "1")
    told: asyncio.Queue[str] = asyncio.Queue()
    uri = (root / "part0.mlf.hcl").as_uri()

    @client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    def published(params: lsp.PublishDiagnosticsParams) -> None:
        told.put_nowait(params.uri)

    async def problems() -> None:
        while await told.get() != uri:
            pass

    await client.start_io(sys.executable, "-m", "mlform", "lsp")
    server = client._server  # noqa: SLF001 - the client tells nobody which process it started
    assert server is not None
    asked = lsp.InitializeParams(lsp.ClientCapabilities(), root_uri=root.as_uri())
    await client.initialize_async(asked)
    client.initialized(lsp.InitializedParams())
    document = lsp.TextDocumentIdentifier(uri)
    client.text_document_did_open(
        lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(uri, "mlform", 1, text))
    )
    await problems()
    line = text[: text.index("local.target")].count("\n")
    place = lsp.Position(line, len("  target    = local."))
    times: dict[str, list[tuple[float, float]]] = {}

    async def timed(what: str, ask: Callable[[], Awaitable[object]]) -> None:
        clock, cpu = time.perf_counter(), used(server.pid)
        await ask()
        took = time.perf_counter() - clock, used(server.pid) - cpu
        times.setdefault(what, []).append(took)

    for edit in range(edits):
        changed = lsp.TextDocumentContentChangeWholeDocument(
            text.replace("max_iter = 7,", f"max_iter = {edit + 1000},")
        )
        where = lsp.VersionedTextDocumentIdentifier(edit + 2, uri)
        client.text_document_did_change(lsp.DidChangeTextDocumentParams(where, [changed]))
        await timed("problems after a change", problems)
        completion, hover = lsp.CompletionParams(document, place), lsp.HoverParams(document, place)
        await timed("completion", lambda p=completion: client.text_document_completion_async(p))
        await timed("hover", lambda p=hover: client.text_document_hover_async(p))
    for what, took in times.items():
        clock, cpu = (statistics.median(t[i] for t in took) for i in (0, 1))
        print(f"{what}: {clock * 1000:.0f} ms, {cpu * 1000:.0f} ms of CPU")
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()


if __name__ == "__main__":
    count, edits = map(int, [*sys.argv[1:], *("1000", "15")[len(sys.argv) - 1 :]])
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), write(Path(folder), count), edits))
