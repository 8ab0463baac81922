"""`import ekernel` offers what its page says, typed, and costs what is used of it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ekernel

SOURCE = Path(ekernel.__file__)


def names_for_type_checkers() -> set[str]:
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    imports = [
        node
        for guard in tree.body
        if isinstance(guard, ast.If)
        for node in guard.body
        if isinstance(node, ast.ImportFrom)
    ]
    return {alias.asname or alias.name for node in imports for alias in node.names}


def test_what_a_type_checker_sees_is_what_can_be_imported() -> None:
    assert names_for_type_checkers() == set(ekernel.__all__)


@pytest.mark.parametrize("name", ekernel.__all__)
def test_every_name_loads(name: str) -> None:
    assert getattr(ekernel, name) is not None


def test_every_public_class_and_function_says_what_it_is() -> None:
    for name in ekernel.__all__:
        value = getattr(ekernel, name)
        assert not callable(value) or value.__doc__, name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'ekernel' has no attribute 'Machin'"):
        _ = ekernel.Machin  # type: ignore[attr-defined]


def test_importing_it_loads_neither_the_engine_nor_the_toolchain() -> None:
    code = (
        "import sys, ekernel; print(*sorted({m.partition('.')[0] for m in sys.modules} & {'unicorn', 'lark', 'emu'}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
