"""The value of ALIGN and SUBALIGN behind a section's name."""

from __future__ import annotations

from itertools import dropwhile, takewhile
from typing import TYPE_CHECKING

from linker.errors import Diagnostic, Location
from linker.script.evaluate import evaluate

if TYPE_CHECKING:
    from linker.layout.scope import Scope
    from linker.script.syntax import Expression


def alignment_of(expression: Expression | None, scope: Scope) -> int | None:
    """A power of two; None when the script asks for none."""
    if expression is None:
        return None
    section, dot, scope.section, scope.dot = scope.section, scope.dot, None, 0
    value = evaluate(expression, scope)
    scope.section, scope.dot = section, dot
    if value is None or value.value == 0:
        return None
    if value.value & (value.value - 1):
        message = f"an alignment of {value.value} is not a power of two"
        error = Diagnostic(message, _place(expression))
        if error not in scope.errors:
            scope.errors.append(error)
        return None
    return value.value


def align_thread_block(scope: Scope) -> None:
    """Let the first thread-local section be as aligned as those that came into being right behind it.

    Their segment begins with it (BFD, _bfd_elf_tls_setup).
    """
    from_first = dropwhile(lambda section: not section.tls, scope.plan.order)
    block = list(takewhile(lambda section: section.tls, from_first))
    for section in block:
        wanted = alignment_of(section.statement.align, scope) if section.statement else None
        section.align = max(section.align, wanted or 1)
    if block:
        block[0].align = max(section.align for section in block)


def _place(expression: Expression) -> Location | None:
    return getattr(expression, "location", None)
