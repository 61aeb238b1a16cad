"""An editor: a real client of the language server, over its pipes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient


class Editor:
    """A client with one folder open."""

    def __init__(self, client: LanguageClient, root: Path) -> None:
        self.client, self.root, self.version = client, root, 1
        self.problems: asyncio.Queue[lsp.PublishDiagnosticsParams] = asyncio.Queue()

    def document(self, name: str = "main.mlf.hcl") -> lsp.TextDocumentIdentifier:
        return lsp.TextDocumentIdentifier((self.root / name).as_uri())

    def open(self, text: str, name: str = "main.mlf.hcl") -> None:
        item = lsp.TextDocumentItem(self.document(name).uri, "mlform", 1, text)
        self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(item))

    def change(self, text: str) -> None:
        self.version += 1
        where = lsp.VersionedTextDocumentIdentifier(self.version, self.document().uri)
        whole = lsp.TextDocumentContentChangeWholeDocument(text)
        self.client.text_document_did_change(lsp.DidChangeTextDocumentParams(where, [whole]))

    async def told(self, name: str = "main.mlf.hcl") -> list[lsp.Diagnostic]:
        while True:
            found = await asyncio.wait_for(self.problems.get(), 60)
            if found.uri == self.document(name).uri:
                return list(found.diagnostics)


def at(text: str, before: str, nth: int = 1) -> lsp.Position:
    """Return the position after the nth ``before``, counted as UTF-16 counts."""
    end = -1
    for _ in range(nth):
        end = text.index(before, end + 1)
    head = text[: end + len(before)]
    line = head.rpartition("\n")[2]
    return lsp.Position(head.count("\n"), len(line.encode("utf-16-le")) // 2)


def with_editor(root: Path, ask: Callable[[Editor], Awaitable[Any]]) -> Any:
    async def session() -> Any:
        client = LanguageClient("tests", "1")
        editor = Editor(client, root)

        @client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def told(params: lsp.PublishDiagnosticsParams) -> None:
            editor.problems.put_nowait(params)

        await client.start_io(sys.executable, "-m", "mlform", "lsp")
        await client.initialize_async(
            lsp.InitializeParams(lsp.ClientCapabilities(), root_uri=root.as_uri())
        )
        client.initialized(lsp.InitializedParams())
        try:
            return await ask(editor)
        finally:
            await client.shutdown_async(None)
            client.exit(None)
            await client.stop()

    return asyncio.run(session())
