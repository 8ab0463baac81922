"""`ekernel completion`: what makes a shell complete the words of `ekernel`."""

from collections.abc import Sequence
from importlib import import_module

from emu.cli.shared.commands import OWN, TOOLS
from emu.cli.words.reading import Words, add_help, one_of
from emu.terminal.signals import Signals

_BASH = """\
# eval "$(ekernel completion bash)" in ~/.bashrc
_ekernel() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} words
    case $COMP_CWORD:${{COMP_WORDS[1]}} in
    1:*) words="{commands}" ;;
{cases}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _ekernel ekernel
"""
_ZSH = '# eval "$(ekernel completion zsh)" in ~/.zshrc\nautoload -U +X bashcompinit && bashcompinit\n'


class CompletionWords:
    """What was asked for."""

    shell: str


def options() -> Words:
    """The words of `ekernel completion`."""
    words = Words(
        "ekernel completion", 'Print what makes a shell complete: eval "$(ekernel completion bash)".',
        operands=" bash|zsh|fish",
    )  # fmt: skip
    words.operand("shell", form="bash|zsh|fish", kind=one_of("bash", "zsh", "fish"), text="Which shell.")
    add_help(words, "options")
    return words


def main(words: Sequence[str], _signals: Signals) -> int:
    """Print it; the exit status."""
    shell = options().read(words, CompletionWords()).shell
    known = {name: sorted(import_module(f"emu.cli.{name}").options().options()) for name in OWN}
    print(_fish(known) if shell == "fish" else (_ZSH if shell == "zsh" else "") + _bash(known), end="")
    return 0


def _bash(known: dict[str, list[str]]) -> str:
    cases = "\n".join(
        f'    *:{name}) [[ $word == -* ]] && words="{" ".join(words)}" ;;' for name, words in known.items()
    )
    return _BASH.format(commands=" ".join((*OWN, *TOOLS)), cases=cases)


def _fish(known: dict[str, list[str]]) -> str:
    lines = ["# ekernel completion fish | source, in ~/.config/fish/config.fish"]
    for name, summary in {**OWN, **{name: summary for name, (_, summary) in TOOLS.items()}}.items():
        lines.append(f"complete -c ekernel -f -n __fish_use_subcommand -a {name} -d {_quoted(summary)}")
    for name, words in known.items():
        for word in words:
            kind = f"-l {word[2:]}" if word.startswith("--") else f"-{'s' if len(word) == 2 else 'o'} {word[1:]}"
            lines.append(f"complete -c ekernel -n '__fish_seen_subcommand_from {name}' {kind}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "\\'") + "'"
