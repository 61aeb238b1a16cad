"""Whether what a plan was made from is still so."""

from __future__ import annotations

from mlform.apply.provider import StepFailed
from mlform.keys import CodeError, closure
from mlform.plan import Step
from mlform.refresh import Looker


def check_code(step: Step, looker: Looker) -> None:
    """Refuse to run code that is not what was planned. Raises ``StepFailed``."""
    for argument, fact in step.code.items():
        reference = str(step.arguments[argument])
        try:
            now = closure(looker.root, reference, looker.closures).digest
        except CodeError as error:
            raise StepFailed(error.summary, error.detail, step.at.get(argument, "")) from None
        if now != fact["digest"]:
            detail = f"{reference} is not what it was when this was planned. Plan again."
            raise StepFailed("Code changed since the plan", detail, step.at.get(argument, ""))
