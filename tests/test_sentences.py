"""The program speaks with one voice: each sentence that it can say keeps the rules for its kind.

An error says what is wrong in half a sentence, without a capital and a full stop, and behind a colon or semicolon what
to do. What is printed on stderr beside a command's output begins with its name. A line of help is a sentence.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module

import pytest

from emu.cli.shared.commands import OWN
from tests.sentences import GAP, ROOT, Sentence, sentences, sentences_of

ALL = sentences()
NAMES = ("INCLUDE", "PT_LOAD", "RAM", "Sail's")
"""What half a sentence may begin with in capitals."""
HISTORY = r"\b(any ?(more|longer)|deprecated|formerly|no longer|obsolete|previously|used to|not yet)\b"
CARELESS = r"\(s\)|can not|\be\.g\.|\bi\.e\.|\betc\b|n't|\b(just|oops|please|simply|sorry|very)\b|!"
COUNTED = (
    "accesses|arguments|bits|blocks|bytes|calls|characters|devices|digits|executions|fields|files|frames|harts|"
    "instructions|kernels|lines|pages|processes|programs|records|sections|seconds|slots|steps|symbols|times|traps|"
    "values|words"
)
"""What is counted, and is one sometimes: `counted` knows when."""
OURS = {
    "engine": ("docs/engine.md", "The machine executes a guest with\nUnicorn"),
    "lives it again": ("docs/recording.md", "## Living it again"),
    "teaching kernel": ("README.md", "teaching kernel"),
    "fidelity": ("docs/conformance.md", "There are two fidelities"),
    "invariant": ("docs/tracing.md", "`ekernel run --invariant NAMES`"),
    "native code": ("docs/engine.md", "a\nnative function in front of one of them"),
    "profile": ("docs/changing-the-kernel.md", "profile"),
    "quarantine": ("docs/questions/who-corrupts-my-memory.md", "--quarantine"),
}
"""Words of ours, or in a sense of ours: where each is explained, and how the explanation begins."""
NOT_SAID = r"\b(harness|ledger|plumbing|probes?|seam|shim|sidecar|wiring)\b"
"""Words of the source that no reader of a message knows."""
OTHERS_OPTIONS = {"--snapshot-update"}
"""Long options of other programs that a sentence names."""
LONG = 4
"""Words from which on a sentence is known by them."""


def _breaks_spacing(said: Sentence) -> bool:
    return bool(re.search(r"\S  +\S| [,;:](?![\w.=])|^\s|[^\S\n]$", said.text))


def _ends_otherwise(said: Sentence) -> bool:
    whole = said.text.endswith((".", GAP, "?"))
    return not whole if said.kind == "help" else bool(re.search(r"(?<!\.\.)\.$|[,;:]$", said.text))


def _begins_otherwise(said: Sentence) -> bool:
    if said.kind == "stderr":
        return not re.match(rf"ekernel(-qemu)?: |{GAP}", said.text)
    if said.kind == "help":
        return not re.match(rf"[A-Z{GAP}]|[\w.,=-]+(?: and \w+)?:|virtio-|afl-fuzz ", said.text)
    return bool(re.match(r"[A-Z][a-z]", said.text)) and not said.text.startswith(NAMES)


def _speaks_of_history(said: Sentence) -> bool:
    return bool(re.search(HISTORY, said.text))


def _is_careless(said: Sentence) -> bool:
    return bool(re.search(CARELESS, said.text, re.IGNORECASE))


def _is_of_the_source(said: Sentence) -> bool:
    return bool(re.search(NOT_SAID, said.text))


def _is_constant(value: ast.expr) -> bool:
    """Whether a number is the same whenever it is said, and so no 1: made of names in capitals alone."""
    names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
    return all(name.isupper() for name in names)


def _is_plain(value: ast.expr) -> bool:
    """Whether a value is said in decimal digits that can be a 1."""
    if not isinstance(value, ast.FormattedValue):
        return False
    form = ast.unparse(value.format_spec) if value.format_spec else ""
    return "x" not in form and not _is_constant(value.value)


def _counts_one_thing_in_the_plural(said: Sentence) -> bool:
    if said.where.startswith(("linker/", "kernel/")):  # which stand below the word for it
        return False
    gaps = re.finditer(rf"{GAP}(?= ({COUNTED})\b)?", said.text)
    return any(gap[1] and _is_plain(value) for gap, value in zip(gaps, said.values, strict=True))


RULES = (
    _breaks_spacing, _ends_otherwise, _begins_otherwise, _speaks_of_history, _is_careless, _is_of_the_source,
    _counts_one_thing_in_the_plural,
)  # fmt: skip


@pytest.mark.parametrize("breaks", RULES)
def test_each_sentence_keeps_the_rule(breaks: Callable[[Sentence], bool]) -> None:
    assert [str(said) for said in ALL if breaks(said)] == []


@pytest.mark.parametrize(
    ("source", "breaks"),
    [
        ("raise ConfigError(f'image {path}  does not exist')", _breaks_spacing),
        ("raise ConfigError(f'-smp : this machine has {harts}')", _breaks_spacing),
        ("raise ImageError('the image is damaged.')", _ends_otherwise),
        ("group.value('--lines', to='lines', text='Show lines')", _ends_otherwise),
        ("raise ImageError('The image is damaged')", _begins_otherwise),
        ("print(f'error: {text}', file=sys.stderr)", _begins_otherwise),
        ("print('the image is damaged' if bad else 'ekernel: ok', file=sys.stderr)", _begins_otherwise),
        ("group.flag('--lines', to='lines', text='show lines.')", _begins_otherwise),
        ("raise ConfigError('-x is no longer an option')", _speaks_of_history),
        ("parser.add_argument('-x', help='please give a number')", _is_careless),
        ("raise LinkError(f'{n} symbol(s) undefined')", _is_careless),
        ("raise ConfigError('the probe has no ring')", _is_of_the_source),
        ("raise AddressError(f'{length:,} bytes are not in RAM')", _counts_one_thing_in_the_plural),
    ],
)
def test_a_sentence_that_breaks_a_rule_is_found(source: str, breaks: Callable[[Sentence], bool]) -> None:
    assert any(map(breaks, sentences_of(source, "emu/some.py")))
    assert len(ALL) > 1000


def test_no_two_files_say_the_same_at_length() -> None:
    """What two say is one piece of knowledge. The assembler's and the linker's short answers are of a few shapes."""
    where = defaultdict(set)
    for said in ALL:
        is_short = len(re.findall("[a-z]+", said.text)) < LONG
        if not is_short and "help" not in said.kind and not said.where.startswith("linker/"):
            where[said.text].add(said.where.partition(":")[0])
    assert {text: files for text, files in where.items() if len(files) > 1} == {}


def test_words_of_ours_are_explained_where_a_reader_looks_for_them() -> None:
    for word, (file, explanation) in OURS.items():
        assert any(word in said.text for said in ALL), f"nobody says '{word}'"
        assert explanation in (ROOT / file).read_text(encoding="utf-8")


def test_an_option_that_a_sentence_names_exists() -> None:
    commands = [import_module(f"emu.cli.{name}").options() for name in OWN]
    known = OTHERS_OPTIONS | {name for words in commands for name in words.options()}
    named = [
        (option, said)
        for said in ALL
        if not said.where.startswith(("linker/", "emu/testing/plugin"))
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", said.text)
    ]
    assert len(named) > 50
    assert [str(said) for option, said in named if option not in known] == []


def test_a_name_of_python_that_a_sentence_names_exists() -> None:
    for said in ALL:
        for name in re.findall(r"(?<![\w@./])(?:emu|ekernel)(?:\.[a-z_]+)+", said.text):
            module, _, last = name.rpartition(".")
            assert hasattr(import_module(module), last) or import_module(name), f"{said}: {name}"
        for file in re.findall(r"docs/[\w/-]+\.md", said.text):
            assert (ROOT / file).exists(), said
