"""Options that `ekernel run` does not have, and what to write instead. Without this `-serial` were `-s -e -r ...`."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from typer import Context
from typer.core import TyperCommand, TyperOption

from emu.errors import ConfigError

_HERE = "the guest's console and the monitor are this terminal; leave it out"
_NOT_HERE = {
    "-cpu": "the hart is RV64GC with M, S and U mode; leave it out",
    "-serial": _HERE,
    "-monitor": _HERE,
    "-display": _HERE,
    "-chardev": _HERE,
    "-hda": "write -drive file=FILE,format=raw",
    "-netdev": "there is no network device",
    "-nic": "there is no network device",
    "-net": "there is no network device",
    "-d": "to see what the guest does, write --trace KINDS",
    "-D": "to write what the guest does to a file, write --trace-out FILE",
    "-icount": "time passes by instructions anyway (--clock instructions)",
    "-S": "to stop and look, press Ctrl-A C; to follow the guest, write --trace KINDS",
    "-s": "to stop and look, press Ctrl-A C; to follow the guest, write --trace KINDS",
    "-gdb": "to stop and look, press Ctrl-A C; to follow the guest, write --trace KINDS",
    "-no-shutdown": "a guest that powers off ends the run; leave it out",
    "-accel": "there is one way to execute; leave it out",
}
"""Words of QEMU for what is otherwise here."""


class RunCommand(TyperCommand):
    """A command that tells an unknown option with what to write instead."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:  # type: ignore[override]  # typer makes no other
        """As click has it. Raises ConfigError for an option that does not exist."""
        for word in self._unknown(ctx, args):
            hint = _NOT_HERE.get(word) or _nearest(word, self._names(ctx))
            raise ConfigError(f"{word}: there is no such option here; {hint}")
        return super().parse_args(ctx, args)

    def _names(self, ctx: Context) -> dict[str, bool]:
        """Each option with its dashes, and whether a value follows it."""
        return {
            name: not option.is_flag
            for option in self.get_params(ctx)
            if isinstance(option, TyperOption)
            for name in (*option.opts, *option.secondary_opts)
        }

    def _unknown(self, ctx: Context, args: Sequence[str]) -> Iterator[str]:
        names = self._names(ctx)
        words = iter(args)
        for word in words:
            if word == "--":
                return
            name, is_pair, _ = word.partition("=")
            if name in names:
                if names[name] and not is_pair:
                    next(words, None)
            elif len(word) > 1 and word.startswith("-") and not _is_joined(word, names):
                yield name


def _is_joined(word: str, names: dict[str, bool]) -> bool:
    """Whether a value is joined to an option of one letter, as in `-m256M`: no word of QEMU goes on with a digit."""
    return names.get(word[:2], False) and word[2:3].isdigit()


def _nearest(word: str, names: dict[str, bool]) -> str:
    near = get_close_matches(word, names, 1) or get_close_matches(f"-{word}", names, 1)
    return f"did you mean {near[0]}?" if near else "ekernel run --help lists those there are"
