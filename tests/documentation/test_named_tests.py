"""A document that names a test, or links to a page, names one that there is."""

import re

from tests.documentation.documents import DOCUMENTS, LINUX, ROOT

PAGES = (*DOCUMENTS, LINUX, ROOT / "CHANGELOG.md")


def test_every_test_that_a_document_names_exists() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    there_are = set(re.findall(r"^\s*def (test_\w+)", sources, re.MULTILINE))
    named = {name for path in DOCUMENTS for name in re.findall(r"`(test_\w+)`", path.read_text(encoding="utf-8"))}
    assert named
    assert named <= there_are


def test_every_link_of_a_document_leads_somewhere() -> None:
    lost = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert not lost
