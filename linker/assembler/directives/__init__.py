"""Directives by topic. Each function takes the state of the assembly and the text after the directive's name."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linker.assembler.state import Assembly

Directive = Callable[["Assembly", str], None]
"""Raises StatementError when the text does not fit the directive."""
