"""One word that a command takes, and what is known of it before it is read."""

from collections.abc import Callable

_FILES = ("FILE", "ELF", "DIR", "FOLDER", "KERNEL", "RECORDING", "TESTS")
"""What the form of a word begins with that names a file or a folder."""


class Asked:
    """What a command takes: an option by its spellings, or an operand, which has none."""

    def __init__(
        self, *names: str, to: str, text: str, form: str = "", kind: Callable[[str], object] = str,
        default: object = None, given: object = None, many: str = "", required: bool = False,
    ) -> None:  # fmt: skip
        """`form` says what a value looks like; without one there is none, and the option means `given`.

        `many` is ? where an operand may be missing, + where it and an option may be repeated.
        """
        self.names, self.to, self.text, self.form = names, to, text, form
        self.kind, self.default, self.given, self.many, self.required = kind, default, given, many, required

    @property
    def called(self) -> str:
        """What messages call it."""
        return "/".join(self.names) or self.form

    @property
    def names_file(self) -> bool:
        """Whether it is the name of a file or of a folder."""
        return self.form.startswith(_FILES)
