"""Splits source text into statements: comments go, semicolons separate, strings stay whole."""

import re

_BLOCK_COMMENT = re.compile(
    r"""("(?:[^"\\\n]++|\\.)*+"|'\\?[^\n]|\#[^\n]*)|/\*.*?(?:\*/|\Z)""",
    re.DOTALL | re.VERBOSE,
)
_NO_BREAK = re.compile(r"[^\n]")
_PIECE = re.compile(r"""[^"'#;]+|"(?:[^"\\]++|\\.)*+"?|'(?:\\[0-7]{1,3}|\\.|[^\\])?'?|;|\#.*""")
_LABEL = re.compile(r"\s*([A-Za-z_.$][\w.$]*|\d+|\"[^\"]+\")\s*:(?!:)")


def strip_block_comments(text: str) -> str:
    r"""Replace `/* */` comments by spaces, so that lines and columns stay right.

    >>> strip_block_comments("nop /* two" + chr(10) + "lines */ ret")
    'nop       \n         ret'
    """
    if "/*" not in text:
        return text
    return _BLOCK_COMMENT.sub(lambda match: match[1] or _NO_BREAK.sub(" ", match[0]), text)


def unclosed_comment(text: str) -> int | None:
    """The number of the line where a `/*` stands that is never closed; None when all are.

    >>> unclosed_comment("nop" + chr(10) + "/* and so on")
    2
    """
    if "/*" not in text:
        return None
    for match in _BLOCK_COMMENT.finditer(text):
        if match[1] is None and (len(match[0]) < 4 or not match[0].endswith("*/")):
            return text.count("\n", 0, match.start()) + 1
    return None


def statements_of(line: str) -> list[str]:
    """The statements of one line, stripped, without comments.

    >>> statements_of('.ascii "a;#b" ; nop # comment')
    ['.ascii "a;#b"', 'nop']
    """
    if '"' not in line and ";" not in line and "'" not in line:
        code = line.partition("#")[0].strip()
        return [code] if code else []
    statements: list[str] = []
    current: list[str] = []
    for piece in _PIECE.findall(line):
        if piece[0] == "#":
            break
        if piece == ";":
            statements.append("".join(current).strip())
            current = []
        else:
            current.append(piece)
    statements.append("".join(current).strip())
    return [statement for statement in statements if statement]


def split_label(statement: str) -> tuple[str, str] | None:
    """A label at the start of a statement and what follows it; None when there is none.

    >>> split_label("loop: addi a0, a0, 1")
    ('loop', 'addi a0, a0, 1')
    """
    match = _LABEL.match(statement)
    if match is None:
        return None
    return match[1].strip('"'), statement[match.end() :].strip()
