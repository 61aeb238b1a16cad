"""The language server, asked by a real client over its pipes."""

from __future__ import annotations

from pathlib import Path

import pytest
from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from tests.lsp.editor import Editor, at, with_editor

SPEC = """\
variable "least" {
  description = "The least accuracy 🎯."
  type        = number
  default     = 0.9
}

locals {
  target = "species"
}

dataset "file" "flowers" {
  path = "flowers.csv"
}

training_job "sklearn" "job" {
  data      = dataset.flowers
  target    = local.target
  estimator = "sklearn.linear_model.LogisticRegression"
  split     = null
}

output "result" {
  value = "🎯${upper(local.target)}"
}
"""


def test_problems_are_told_as_text_changes(tmp_path: Path) -> None:
    async def ask(editor: Editor) -> None:
        editor.open(SPEC)
        assert await editor.told() == []
        editor.change(SPEC.replace("${upper(local.target)}", "${uper(local.target)}"))
        (problem,) = await editor.told()
        assert 'Did you mean "upper"' in problem.message
        line = problem.range.start
        assert (line.line, line.character) == (22, len('  value = "') + 2 + 2)
        editor.change(SPEC + 'training_job "skl')
        assert [p.source for p in await editor.told()][:1] == ["mlform"]
        editor.change(SPEC)
        assert await editor.told() == []

    with_editor(tmp_path, ask)


def test_completion_knows_kinds_types_arguments_and_references(tmp_path: Path) -> None:
    async def labels(editor: Editor, text: str, before: str) -> dict[str, lsp.CompletionItem]:
        editor.change(text)
        params = lsp.CompletionParams(editor.document(), at(text, before))
        found = await editor.client.text_document_completion_async(params)
        assert isinstance(found, lsp.CompletionList)
        return {i.label: i for i in found.items}

    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "main.mlf.hcl").write_text('output "parity" {\n  value = 1\n}\n')

    async def ask(editor: Editor) -> None:
        editor.open(SPEC)
        assert {"dataset", "module", "variable"} <= (await labels(editor, SPEC + "da", "da")).keys()
        typed = SPEC + 'training_job "'
        assert "sklearn" in await labels(editor, typed, 'training_job "')
        begun = SPEC.replace("  target    =", "  p\n  target    =")
        found = await labels(editor, begun, "= dataset.flowers\n  p")
        assert "params" in found
        assert "estimator" not in found
        assert "lifecycle" in found
        written = SPEC.replace("= dataset.flowers\n", "= dataset.\n")
        assert set(await labels(editor, written, "= dataset.")) == {"flowers"}
        written = SPEC.replace("= dataset.flowers\n", "= dataset.flowers.\n")
        assert "rows" in await labels(editor, written, "= dataset.flowers.")
        written = SPEC.replace("local.target\n", "var.\n")
        found = await labels(editor, written, "= var.")
        assert str(found["least"].documentation) == "The least accuracy 🎯."
        begun = SPEC.replace("  type        = number", "  nu\n  type = number")
        assert "nullable" in await labels(editor, begun, "  nu")
        called = (
            SPEC + 'module "m" {\n  source = "./inner"\n}\noutput "p" {\n  value = module.m.\n}\n'
        )
        assert set(await labels(editor, called, "value = module.m.")) == {"parity"}
        written = SPEC.replace("= local.target\n", "= up\n")
        assert "upper" in await labels(editor, written, "= up")

    with_editor(tmp_path, ask)


def test_hover_definition_references_and_symbols(tmp_path: Path) -> None:
    async def ask(editor: Editor) -> None:
        editor.open(SPEC)
        client, document = editor.client, editor.document()

        async def shown(before: str, nth: int = 1) -> str:
            params = lsp.HoverParams(document, at(SPEC, before, nth))
            found = await client.text_document_hover_async(params)
            assert found is not None
            assert isinstance(found.contents, lsp.MarkupContent)
            return found.contents.value

        assert "A file, a glob or a folder" in await shown("  pat")
        assert "upper(" in await shown("{upp")
        assert '"species"' in await shown("upper(local.tar")
        assert "dataset" in await shown('dataset "fi')

        params = lsp.DefinitionParams(document, at(SPEC, "upper(local.targ"))
        (place,) = await client.text_document_definition_async(params)  # type: ignore[misc, union-attr]
        assert place.range.start == at(SPEC, "locals {\n  ")

        context = lsp.ReferenceContext(include_declaration=True)
        asked = lsp.ReferenceParams(context, document, at(SPEC, "dataset.flo"))
        found = await client.text_document_references_async(asked)
        assert found is not None
        assert sorted(p.range.start.line for p in found) == [10, 15]

        outline = await client.text_document_document_symbol_async(
            lsp.DocumentSymbolParams(document)
        )
        assert outline is not None
        assert "training_job sklearn job" in [s.name for s in outline]

    with_editor(tmp_path, ask)


def test_rename_reaches_every_file_and_refuses_what_is_no_name(tmp_path: Path) -> None:
    other = 'output "o" {\n  value = "🎯${local.target}"\n}\n'
    (tmp_path / "other.mlf.hcl").write_text(other)

    async def ask(editor: Editor) -> None:
        editor.open(SPEC)
        where = at(SPEC, "upper(local.targ")

        async def renamed(name: str) -> lsp.WorkspaceEdit | None:
            params = lsp.RenameParams(editor.document(), where, name)
            return await editor.client.text_document_rename_async(params)

        edit = await renamed("label")
        assert edit is not None
        assert edit.changes is not None
        assert {u.rpartition("/")[2]: len(e) for u, e in edit.changes.items()} == {
            "main.mlf.hcl": 3,
            "other.mlf.hcl": 1,
        }
        (change,) = edit.changes[editor.document("other.mlf.hcl").uri]
        assert change.range.start == at(other, "local.")
        for name in ("1x", "target"):
            with pytest.raises(JsonRpcException, match=name):
                await renamed(name)

    with_editor(tmp_path, ask)


def test_formatting_gives_the_one_layout(tmp_path: Path) -> None:
    async def ask(editor: Editor) -> None:
        editor.open("a {\nb=1\n}\n")
        options = lsp.FormattingOptions(2, insert_spaces=True)
        params = lsp.DocumentFormattingParams(editor.document(), options)
        edits = await editor.client.text_document_formatting_async(params)
        assert edits is not None
        assert [e.new_text for e in edits] == ["a {\n  b = 1\n}\n"]
        editor.change("a {\n")
        assert not await editor.client.text_document_formatting_async(params)

    with_editor(tmp_path, ask)


INNER = """\
variable "least" {
  description = "The least that counts."
  type        = number
}
variable "most" {
  default = 1
}
output "parity" {
  value = var.least
}
"""

OUTER = """\
module "m" {
  source = "./inner"
  for_each = toset(["x"])
  least    = 0.5
}
output "p" {
  value = "🎯${module.m["x"].parity}"
}
"""

FILE = 'dataset "file" "d" {\n  '
CALL = 'module "m" {\n  source = "./inner"\n'
PLACES = [
    (FILE + "pa|", {"path"}, {"module"}),
    (FILE + 'path = "x"\n  |\n\nvariable "x" {}\n', {"split"}, {"path"}),
    (FILE + 'split = {\n    by = "hash"\n    o|\n  }\n}\n', {"on"}, {"by", "path"}),
    (FILE + "split = { | }\n}\n", {"by", "parts"}, {"path"}),
    (FILE + "split {\n    |\n", {"by", "parts"}, {"path"}),
    (FILE + 'version = { mode = "|" }\n}\n', {"pin", "float"}, {"abs"}),
    (FILE + "version = { mode = | }\n}\n", {"pin", "abs"}, {"owner"}),
    (FILE + "lifecycle {\n    pre|", {"precondition", "enabled"}, {"path"}),
    (FILE + "lifecycle {\n    ignore_changes = [|]\n  }\n}\n", {"owner", "all"}, {"abs"}),
    ("removed {\n  from = dataset.x\n  lifecycle {\n    |\n  }\n}\n", {"destroy"}, {"enabled"}),
    ('variable "x" {\n  sensitive = |\n}\n', {"true", "false"}, {"owner"}),
    (FILE + "lifecycle {\n    postcondition {\n      condition = self.|\n", {"rows"}, {"owner"}),
    (CALL + "  |\n}\n", {"least", "most", "for_each"}, {"version"}),
    (CALL + "}\nlocals {\n  x = module.m.|\n}\n", {"parity"}, set()),
    ('mlform {\n  backend "|"\n}\n', {"sqlite"}, set()),
    ("mlform {\n  required_providers {\n    |\n  }\n}\n", {"core", "sklearn"}, {"backend"}),
    ("locals {\n  x = provider::|\n}\n", {"provider::core::"}, {"abs"}),
    ('locals {\n  ä = "🎯"\n}\noutput "x" {\n  value = "🎯 ${local.|"\n}\n', {"ä"}, {"abs"}),
    ('{"output": {"x": {"value": "${local.|}"}}, "locals": {"y": 1}}', {"y"}, set()),
]


def test_completion_in_objects_and_in_unfinished_text(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "main.mlf.hcl").write_text(INNER)

    async def ask(editor: Editor) -> None:
        editor.open("")
        for number, (written, wanted, unwanted) in enumerate(PLACES):
            head, _, tail = written.partition("|")
            name = "main.mlf.hcl"
            if written.startswith("{"):
                name = f"json{number}.mlf.json"
                editor.open(head + tail, name)
            else:
                editor.change(head + tail)
            last = head.rpartition("\n")[2]
            place = lsp.Position(head.count("\n"), len(last.encode("utf-16-le")) // 2)
            params = lsp.CompletionParams(editor.document(name), place)
            found = await editor.client.text_document_completion_async(params)
            assert isinstance(found, lsp.CompletionList)
            labels = {i.label for i in found.items}
            assert wanted <= labels, written
            assert not unwanted & labels, written

    with_editor(tmp_path, ask)


def test_names_are_followed_into_modules(tmp_path: Path) -> None:
    inner = tmp_path / "inner" / "main.mlf.hcl"
    inner.parent.mkdir()
    inner.write_text(INNER)
    (tmp_path / "main.mlf.hcl").write_text(OUTER)

    async def ask(editor: Editor) -> None:
        editor.open(OUTER)
        client, document = editor.client, editor.document()

        async def defined(before: str) -> tuple[str, int]:
            params = lsp.DefinitionParams(document, at(OUTER, before))
            found = await client.text_document_definition_async(params)
            assert isinstance(found, list)
            (place,) = found
            assert isinstance(place, lsp.Location)
            return place.uri, place.range.start.line

        assert await defined("].par") == (inner.as_uri(), 7)
        assert await defined("  lea") == (inner.as_uri(), 0)
        assert await defined('"./inn') == (inner.as_uri(), 0)

        async def edited(uri: str, place: lsp.Position, name: str) -> dict[str, list[str]]:
            params = lsp.RenameParams(lsp.TextDocumentIdentifier(uri), place, name)
            edit = await client.text_document_rename_async(params)
            assert edit is not None
            assert edit.changes is not None
            return {
                u.removeprefix(tmp_path.as_uri()): sorted(
                    f"{e.range.start.line}:{e.range.start.character}" for e in edits
                )
                for u, edits in edit.changes.items()
            }

        wanted = {"/inner/main.mlf.hcl": ["7:8"], "/main.mlf.hcl": ["6:29"]}
        assert await edited(document.uri, at(OUTER, "].par"), "evenness") == wanted
        assert await edited(inner.as_uri(), at(INNER, 'output "par'), "evenness") == wanted
        wanted = {"/inner/main.mlf.hcl": ["0:10", "8:14"], "/main.mlf.hcl": ["3:2"]}
        assert await edited(inner.as_uri(), at(INNER, "var.lea"), "lowest") == wanted

        async def shown(before: str) -> str:
            found = await client.text_document_hover_async(
                lsp.HoverParams(document, at(OUTER, before))
            )
            assert found is not None
            assert isinstance(found.contents, lsp.MarkupContent)
            return found.contents.value

        assert "The least that counts." in await shown("  lea")
        assert "each.key" in await shown("  for_")

    with_editor(tmp_path, ask)


def test_only_the_last_of_quick_changes_is_looked_at(tmp_path: Path) -> None:
    async def ask(editor: Editor) -> None:
        editor.open(SPEC)
        for typed in ("u", "up", "upp", "uppe"):
            editor.change(SPEC.replace("upper(", f"{typed}("))
        (problem,) = await editor.told()
        assert '"uppe"' in problem.message
        editor.change(SPEC)
        assert await editor.told() == []

    with_editor(tmp_path, ask)


def test_files_of_values_and_specs_in_json_are_looked_at(tmp_path: Path) -> None:
    async def ask(editor: Editor) -> None:
        editor.open(SPEC)
        assert await editor.told() == []
        values = "mlform.mlfvars.hcl"
        editor.open('lest = "🎯"\nleast = "x"\n', values)
        told = {d.message.partition(":")[0]: d for d in await editor.told(values)}
        assert set(told) == {"Undeclared variable", "Invalid variable value"}
        assert told["Undeclared variable"].severity == lsp.DiagnosticSeverity.Warning
        assert told["Invalid variable value"].range.start == lsp.Position(1, 8)
        params = lsp.CompletionParams(editor.document(values), lsp.Position(2, 0))
        found = await editor.client.text_document_completion_async(params)
        assert isinstance(found, lsp.CompletionList)
        assert [i.label for i in found.items] == []
        text = '{"output": {"x": {"value": "🎯${nope.x}"}}}\n'
        editor.open(text, "more.mlf.json")
        (problem,) = await editor.told("more.mlf.json")
        assert problem.range.start == at(text, "${")

    with_editor(tmp_path, ask)


def test_json_is_completed_explained_and_followed(tmp_path: Path) -> None:
    text = """{
  "variable": {"file": {"default": "d.csv"}},
  "dataset": {
    "file": {
      "d": {
        "path": "${var.file}",
        "split": {
          "by": "hash",
          "se"
        }
      }
    }
  }
}
"""
    name = "main.mlf.json"

    async def ask(editor: Editor) -> None:
        editor.open(text, name)
        client, document = editor.client, editor.document(name)
        found = await client.text_document_completion_async(
            lsp.CompletionParams(document, at(text, '"se'))
        )
        assert isinstance(found, lsp.CompletionList)
        assert {"seed", "parts"} <= {i.label for i in found.items}
        assert "by" not in {i.label for i in found.items}
        whole = text.replace('"hash",\n          "se"', '"hash"')
        editor.client.text_document_did_close(lsp.DidCloseTextDocumentParams(document))
        editor.open(whole, name)
        told = await client.text_document_hover_async(lsp.HoverParams(document, at(whole, '"pat')))
        assert told is not None and isinstance(told.contents, lsp.MarkupContent)
        assert "A file, a glob or a folder" in told.contents.value
        place = await client.text_document_definition_async(
            lsp.DefinitionParams(document, at(whole, "${var.fi"))
        )
        assert place

    with_editor(tmp_path, ask)
