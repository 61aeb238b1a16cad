"""The protocol: requests of an editor to questions about a module, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path

from mlform.config.blocks import is_name
from mlform.diagnostics import Diagnostic, Diagnostics, Severity, Span
from mlform.lsp.asking import complete, hover
from mlform.lsp.symbols import Place, Symbol, declarations, symbol_at, uses
from mlform.lsp.workspace import Module
from mlform.registry import Registry
from mlform.syntax import layout
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
}


class Server(LanguageServer):
    """Answers for every folder that an editor has files of open."""

    def __init__(self) -> None:
        super().__init__("mlform", version("mlform"))
        self.registry = Registry()
        self.told: dict[Path, set[str]] = {}
        """Folder → files whose problems the editor shows now."""

    def module(self, uri: str) -> tuple[Module, str]:
        """Return the module that a document belongs to, and its name there."""
        path = _path(uri)
        unsaved = {_path(u): d.source for u, d in self.workspace.text_documents.items()}
        return Module.read(path.parent, unsaved, self.registry), path.name

    def offset(self, module: Module, name: str, position: lsp.Position) -> int:
        """Return where a position is, in characters from the beginning of a file."""
        lines = _lines(module.texts.get(name, ""))
        at = self.workspace.position_codec.position_from_client_units(lines, position)
        return sum(map(len, lines[: at.line])) + at.character

    def range(self, module: Module, name: str, span: Span) -> lsp.Range:
        """Return a span as the editor counts."""
        lines = _lines(module.texts.get(name, ""))
        start = lsp.Position(span.line - 1, span.column - 1)
        end = lsp.Position(span.end_line - 1, span.end_column - 1)
        codec = self.workspace.position_codec
        return codec.range_to_client_units(lines, lsp.Range(start, end))

    def location(self, module: Module, place: Place) -> lsp.Location:
        """Return where something stands, as the editor counts."""
        name, start, end = place
        span = Source(name, module.texts[name]).span(start, end)
        return lsp.Location(_uri(module.root / name), self.range(module, name, span))

    def tell(self, uri: str) -> None:
        """Publish what is wrong in the folder of a document."""
        module, _ = self.module(uri)
        found: dict[str, list[lsp.Diagnostic]] = {n: [] for n in module.texts}
        for problem in module.problems():
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
    def opened(params: lsp.DidOpenTextDocumentParams) -> None:
        server.tell(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: lsp.DidChangeTextDocumentParams) -> None:
        server.tell(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: lsp.DidCloseTextDocumentParams) -> None:
        server.tell(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    def saved(params: lsp.DidSaveTextDocumentParams) -> None:
        server.tell(params.text_document.uri)

    options = lsp.CompletionOptions(trigger_characters=[".", '"'])

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
        return [server.location(m, p) for m, p in _places(server, params, declared=True)]

    @server.feature(lsp.TEXT_DOCUMENT_REFERENCES)
    def referred(params: lsp.ReferenceParams) -> list[lsp.Location]:
        both = params.context.include_declaration
        found = list(_places(server, params, declared=False))
        found += _places(server, params, declared=True) if both else []
        return [server.location(m, p) for m, p in found]

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


def _places(
    server: Server, params: lsp.DefinitionParams | lsp.ReferenceParams, *, declared: bool
) -> Iterator[tuple[Module, Place]]:
    module, name = server.module(params.text_document.uri)
    symbol = symbol_at(module, name, server.offset(module, name, params.position))
    for found, place in declarations(module) if declared else uses(module):
        if found == symbol:
            yield module, place


def _renamed(server: Server, params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
    module, name = server.module(params.text_document.uri)
    symbol = symbol_at(module, name, server.offset(module, name, params.position))
    if symbol is None:
        return None
    if not is_name(params.new_name):
        raise JsonRpcInvalidParams(f'"{params.new_name}" is no name.')
    if Symbol(symbol.root, params.new_name) in {s for s, _ in declarations(module)}:
        raise JsonRpcInvalidParams(f"There is {symbol.root}.{params.new_name} already.")
    changes: dict[str, list[lsp.TextEdit]] = {}
    for found, place in [*declarations(module), *uses(module)]:
        if found == symbol:
            at = server.location(module, place)
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
