"""The protocol: requests of an editor to questions about a module, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path

from mlform.config.blocks import is_name
from mlform.config.sources import SUFFIX
from mlform.diagnostics import Diagnostic, Diagnostics, Severity, Span
from mlform.lsp.asking import complete, hover
from mlform.lsp.symbols import (
    Place,
    Symbol,
    declarations,
    occurrences,
    source_at,
    target_at,
)
from mlform.lsp.workspace import Module, Parsed
from mlform.registry import Registry
from mlform.syntax.layout import layout
from mlform.syntax.tree import Source

_KINDS: Final[Mapping[str, lsp.CompletionItemKind]] = {
    "function": lsp.CompletionItemKind.Function,
    "argument": lsp.CompletionItemKind.Property,
    "attribute": lsp.CompletionItemKind.Field,
    "block": lsp.CompletionItemKind.Struct,
    "type": lsp.CompletionItemKind.Class,
    "variable": lsp.CompletionItemKind.Variable,
    "resource": lsp.CompletionItemKind.Reference,
    "module": lsp.CompletionItemKind.Module,
    "root": lsp.CompletionItemKind.Keyword,
    "value": lsp.CompletionItemKind.EnumMember,
}
PAUSE: Final = 0.1
"""Seconds without a change before problems are worked out: nobody reads while typing."""


class Server(LanguageServer):
    """Answers for every folder that an editor has files of open."""

    def __init__(self) -> None:
        super().__init__("mlform", version("mlform"))
        self.registry = Registry()
        self.told: dict[Path, set[str]] = {}
        """Folder → files whose problems the editor shows now."""
        self.asked: dict[Path, int] = {}
        """Folder → how often its problems were asked for: only the last time is answered."""
        self.looking = asyncio.Lock()
        self.parsed: Parsed = {}

    def module(self, uri: str) -> tuple[Module, str]:
        """Return the module that a document belongs to, and its name there."""
        path = _path(uri)
        unsaved = {_path(u): d.source for u, d in self.workspace.text_documents.items()}
        return Module.read(path.parent, unsaved, self.registry, self.parsed), path.name

    def callers(self, module: Module) -> list[Module]:
        """Return the modules in the editor's folders that call some module."""
        folders = {_path(f.uri) for f in self.workspace.folders.values()}
        if self.workspace.root_path:
            folders.add(Path(self.workspace.root_path))
        places = {
            p.parent for f in folders for p in f.rglob(f"*{SUFFIX}") if ".mlform" not in p.parts
        }
        found = [module.beside(p) for p in sorted(places - {module.root})]
        return [m for m in found if m.folder.calls]

    def offset(self, module: Module, name: str, position: lsp.Position) -> int:
        """Return where a position is, in characters from the beginning of a file."""
        lines = _lines(module.text(name))
        at = self.workspace.position_codec.position_from_client_units(lines, position)
        return sum(map(len, lines[: at.line])) + at.character

    def range(self, module: Module, name: str, span: Span) -> lsp.Range:
        """Return a span as the editor counts."""
        lines = _lines(module.text(name))
        start = lsp.Position(span.line - 1, span.column - 1)
        end = lsp.Position(span.end_line - 1, span.end_column - 1)
        codec = self.workspace.position_codec
        return codec.range_to_client_units(lines, lsp.Range(start, end))

    def location(self, module: Module, place: Place) -> lsp.Location:
        """Return where something stands, as the editor counts."""
        name, start, end = place
        span = Source(name, module.text(name)).span(start, end)
        return lsp.Location(_uri(module.root / name), self.range(module, name, span))

    async def tell(self, uri: str) -> None:
        """Publish what is wrong in the folder of a document, once nothing changes for a moment.

        It is worked out beside whatever else the editor asks for in the meantime.
        """
        root = _path(uri).parent
        mine = self.asked[root] = self.asked.get(root, 0) + 1
        await asyncio.sleep(PAUSE)
        async with self.looking:
            if self.asked[root] != mine:
                return
            module, _ = self.module(uri)
            problems = await asyncio.to_thread(module.problems)
        if self.asked[root] == mine:
            self._publish(module, problems)

    def _publish(self, module: Module, problems: list[Diagnostic]) -> None:
        found: dict[str, list[lsp.Diagnostic]] = {n: [] for n in (*module.texts, *module.values)}
        for problem in problems:
            if problem.subject is not None and problem.subject.file in found:
                name = problem.subject.file
                found[name].append(_diagnostic(problem, self.range(module, name, problem.subject)))
        for gone in self.told.get(module.root, set()) - found.keys():
            found[gone] = []
        self.told[module.root] = {name for name, items in found.items() if items}
        for name, items in found.items():
            params = lsp.PublishDiagnosticsParams(_uri(module.root / name), items)
            self.text_document_publish_diagnostics(params)


def make() -> Server:
    """Return a server with everything that it can do."""
    server = Server()

    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    async def opened(params: lsp.DidOpenTextDocumentParams) -> None:
        await server.tell(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(params: lsp.DidChangeTextDocumentParams) -> None:
        await server.tell(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    async def closed(params: lsp.DidCloseTextDocumentParams) -> None:
        await server.tell(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    async def saved(params: lsp.DidSaveTextDocumentParams) -> None:
        await server.tell(params.text_document.uri)

    options = lsp.CompletionOptions(trigger_characters=[".", '"', ":"])

    @server.feature(lsp.TEXT_DOCUMENT_COMPLETION, options)
    def completed(params: lsp.CompletionParams) -> lsp.CompletionList:
        module, name = server.module(params.text_document.uri)
        items = complete(module, name, server.offset(module, name, params.position))
        return lsp.CompletionList(
            is_incomplete=False,
            items=[
                lsp.CompletionItem(
                    i.label,
                    kind=_KINDS[i.kind],
                    documentation=i.detail or None,
                    insert_text=i.insert or None,
                )
                for i in items
            ],
        )

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    def hovered(params: lsp.HoverParams) -> lsp.Hover | None:
        module, name = server.module(params.text_document.uri)
        text = hover(module, name, server.offset(module, name, params.position))
        return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text)) if text else None

    @server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    def defined(params: lsp.DefinitionParams) -> list[lsp.Location]:
        module, name = server.module(params.text_document.uri)
        offset = server.offset(module, name, params.position)
        if (called := source_at(module, name, offset)) is not None:
            first = next(iter(called.texts), None)
            return [] if first is None else [server.location(called, (first, 0, 0))]
        target = target_at(module, name, offset)
        found = occurrences(target, ()) if target else ()
        return [server.location(m, place) for m, place, declared in found if declared]

    @server.feature(lsp.TEXT_DOCUMENT_REFERENCES)
    def referred(params: lsp.ReferenceParams) -> list[lsp.Location]:
        module, name = server.module(params.text_document.uri)
        target = target_at(module, name, server.offset(module, name, params.position))
        both = params.context.include_declaration
        found = occurrences(target, server.callers(target.module)) if target else ()
        return [server.location(m, place) for m, place, declared in found if both or not declared]

    @server.feature(lsp.TEXT_DOCUMENT_RENAME)
    def renamed(params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
        return _renamed(server, params)

    @server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
    def formatted(params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
        document = server.workspace.get_text_document(params.text_document.uri)
        problems = Diagnostics()
        text = layout(document.source, _path(document.uri).name, problems)
        if problems.errors or text == document.source:
            return []
        lines = len(document.source.splitlines()) + 1
        return [lsp.TextEdit(lsp.Range(lsp.Position(0, 0), lsp.Position(lines, 0)), text)]

    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def outlined(params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        module, name = server.module(params.text_document.uri)
        found = []
        for block in module.bodies[name].blocks if name in module.bodies else ():
            title = " ".join([block.kind, *(label.text for label in block.labels)])
            whole = server.range(module, name, block.span)
            head = server.range(module, name, block.header_span)
            found.append(lsp.DocumentSymbol(title, lsp.SymbolKind.Struct, whole, head))
        return found

    return server


def _renamed(server: Server, params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
    module, name = server.module(params.text_document.uri)
    target = target_at(module, name, server.offset(module, name, params.position))
    if target is None:
        return None
    if not is_name(params.new_name):
        raise JsonRpcInvalidParams(f'"{params.new_name}" is no name.')
    renamed = Symbol(target.symbol.root, params.new_name)
    if renamed in {s for s, _ in declarations(target.module)}:
        raise JsonRpcInvalidParams(f"There is {renamed.root}.{params.new_name} already.")
    changes: dict[str, list[lsp.TextEdit]] = {}
    for found, place, _ in occurrences(target, server.callers(target.module)):
        at = server.location(found, place)
        changes.setdefault(at.uri, []).append(lsp.TextEdit(at.range, params.new_name))
    return lsp.WorkspaceEdit(changes=changes)


def _diagnostic(problem: Diagnostic, where: lsp.Range) -> lsp.Diagnostic:
    error = problem.severity is Severity.ERROR
    return lsp.Diagnostic(
        where,
        f"{problem.summary}: {problem.detail}",
        severity=lsp.DiagnosticSeverity.Error if error else lsp.DiagnosticSeverity.Warning,
        source="mlform",
    )


def _lines(text: str) -> list[str]:
    """Return the lines as spans count them: they end with a line feed, and with nothing else."""
    return [f"{line}\n" for line in text.split("\n")]


def _path(uri: str) -> Path:
    return Path(to_fs_path(uri) or "")


def _uri(path: Path) -> str:
    return from_fs_path(str(path)) or ""
