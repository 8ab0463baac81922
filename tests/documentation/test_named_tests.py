"""A document that names a test names one that there is."""

import re

from tests.documentation.documents import DOCUMENTS, ROOT


def test_every_test_that_a_document_names_exists() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    there_are = set(re.findall(r"^\s*def (test_\w+)", sources, re.MULTILINE))
    named = {name for path in DOCUMENTS for name in re.findall(r"`(test_\w+)`", path.read_text(encoding="utf-8"))}
    assert named
    assert named <= there_are
