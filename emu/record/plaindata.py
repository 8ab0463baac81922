"""Reads JSON that may come from a stranger: what is wrong with it is a ValueError, whatever it is."""

import json

from emu.hints import Any


def plain_data(text: bytes) -> Any:
    """What JSON tells. Raises ValueError for what is no JSON, and for what is nested more deeply than any file needs.

    >>> plain_data(b'{"at": [7, 0]}')
    {'at': [7, 0]}
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def shown_data(text: bytes) -> Any:
    r"""The same of what is to be shown: half of a surrogate pair, which cannot be printed, becomes a question mark.

    >>> shown_data(b'{"name": "\\ud800.elf"}')
    {'name': '?.elf'}
    """
    told = plain_data(text)
    return plain_data(json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")) if b"\\u" in text else told
