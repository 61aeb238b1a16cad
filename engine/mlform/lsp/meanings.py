"""What the blocks and arguments of the language itself are for, a line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlform.registry import KINDS

MEANINGS: Final[Mapping[str, str]] = {
    "variable": "A value given from outside, or by the module that calls.",
    "locals": "Names for values, used as `local.NAME`.",
    "output": "A value for whoever calls this module, or runs it.",
    "module": "The resources of another folder, used as `module.NAME.OUTPUT`.",
    "provider": "Settings of an installed provider; with `alias`, a second set of them.",
    "check": "What should hold; where it does not, a warning.",
    "mlform": "Which versions the spec wants, and where its state lies.",
    "moved": "What is recorded at one address is declared at another now.",
    "removed": "Takes what is recorded at an address out.",
    "import": "What exists already comes under management.",
    "lifecycle": "How changes of the resource are handled, and what must hold around them.",
    "dynamic": "Makes blocks from a collection.",
    "content": "The block that is made for each element.",
    "validation": "A condition on the value of the variable.",
    "precondition": "What must hold before: else the plan or the step stops.",
    "postcondition": "What must hold after, about `self`: else the step fails.",
    "assert": "A condition, and what to say where it does not hold.",
    "required_providers": "Which providers, and which versions of them, must be installed.",
    "backend": "Where the state lies.",
    "count": "How many instances there are: `count.index` tells them apart.",
    "for_each": "An instance for each element of a map or set of strings, with `each.key`.",
    "depends_on": "Resources or modules to wait for, beside those that are referred to.",
    "providers": "Which provider settings the module uses: { NAME_INSIDE = NAME_HERE }.",
    "source": 'A folder ("./…") or a repository ("git::https://host/path.git//folder?ref=v1").',
    "alias": "The name of this set of settings: resources choose it with `provider = NAME.ALIAS`.",
    "type": "The type that values are converted to.",
    "default": "The value where none is given.",
    "description": "What it is for.",
    "sensitive": "The value is shown in no plan, log or error, and the state holds only a hash.",
    "nullable": "`false`: null means the default.",
    "ephemeral": "The value is kept in no state and no plan.",
    "condition": "An expression that is true where all is well.",
    "error_message": "What to say where the condition is false.",
    "create_before_destroy": "A replacement is made before the old one goes.",
    "prevent_destroy": "Refuse plans that destroy it; kept in the state.",
    "ignore_changes": "Arguments whose changes mean nothing, or `all`.",
    "replace_triggered_by": "References; when what they are worth changes, this runs again.",
    "enabled": "`false`: as if the block were not there.",
    "destroy": "`false`: what is recorded is forgotten, and what runs is left running.",
    "required_version": 'Which versions of mlform the spec works with: ">= 0.1".',
    "from": "The address before.",
    "to": "The address now.",
    "id": "What the provider knows it by.",
    "iterator": "The name of the element, if not that of the block.",
    **{kind: f'A {kind.replace("_", " ")}: `{kind} "TYPE" "NAME"`.' for kind in KINDS},
    "trigger": "Turns alarms into moved inputs.",
}
"""Block or argument → what it is for, as Markdown."""
