"""The first words that a user tries: version, help, completion, doctor, and a mistyped command."""

import re
import subprocess
from collections.abc import Callable
from importlib.metadata import version

import pytest

from tests.cli.conftest import Ekernel

GROUPS = (
    "What to boot", "The teaching kernel", "The machine", "Disks, devices and the host", "What to watch",
    "Whose allocators", "Limits and output", "QEMU's options that change nothing here",
)  # fmt: skip


def test_version_names_the_installed_package(ekernel: Ekernel) -> None:
    assert ekernel("--version").stdout.startswith(f"ekernel {version('ekernel')} ")


@pytest.mark.parametrize("words", [(), ("-h",), ("--help",), ("help",)])
def test_help_lists_the_commands(ekernel: Ekernel, words: tuple[str, ...]) -> None:
    result = ekernel(*words)
    assert result.returncode == 0
    for command in ("run", "build", "heap", "lab", "doctor", "completion", "as", "ld", "addr2line"):
        assert re.search(rf"^  {command} +\w", result.stdout, re.MULTILINE)


def test_help_of_run_shows_its_options_in_groups(ekernel: Ekernel) -> None:
    for word in ("-h", "--help"):
        result = ekernel("run", word)
        assert result.returncode == 0
        places = [result.stdout.index(f"\n{group}:\n") for group in GROUPS]
        assert places == sorted(places)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rum",), "there is no command 'rum': did you mean 'run'? there are run, build"),
        (("frobnicate",), "there is no command 'frobnicate': there are run, build"),
        (("build",), "the following arguments are required: -o/--output; ekernel build -h lists the options"),
        (("build", "-o", "x", "--profil", "full"), "did you mean --profile?"),
        (("lab", "allocator"), "there is no experiment 'allocator'; there is allocators"),
        (("completion", "csh"), "'csh': there are bash, zsh, fish"),
        (("doctor", "--hepl"), "did you mean --help?"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_status_125(ekernel: Ekernel, words: tuple[str, ...], message: str) -> None:
    result = ekernel(*words)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (125, "", 1)
    assert message in result.stderr


def test_doctor_says_what_this_host_can_do(ekernel: Ekernel) -> None:
    result = ekernel("doctor")
    assert result.returncode == 0
    for name in ("ekernel", "Python", "unicorn", "native code", "built kernels", "qemu-system-riscv64"):
        assert re.search(rf"^{name} +\S", result.stdout, re.MULTILINE)


def test_bash_completes_commands_and_options(ekernel: Ekernel) -> None:
    script = ekernel("completion", "bash").stdout
    ask = 'COMP_WORDS=({words}); COMP_CWORD={at}; _ekernel; echo "${{COMPREPLY[@]}}"\n'
    questions = [("ekernel do", 1), ("ekernel run --until", 2), ("ekernel run -sem", 2), ("ekernel ld --no", 2)]
    script += "".join(ask.format(words=words, at=at) for words, at in questions)
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.splitlines() == ["doctor", "--until-console", "-semihosting -semihosting-config", ""]


def test_completion_is_a_script_that_each_shell_reads(ekernel: Ekernel) -> None:
    assert ekernel("completion", "zsh").stdout.splitlines()[1] == "autoload -U +X bashcompinit && bashcompinit"
    fish = ekernel("completion", "fish").stdout
    assert "complete -c ekernel -n '__fish_seen_subcommand_from run' -l until-console" in fish
    assert "complete -c ekernel -n '__fish_seen_subcommand_from run' -o kernel" in fish


def test_fish_completes_commands_and_options(ekernel: Ekernel, oracle: Callable[[str], str]) -> None:
    script = ekernel("completion", "fish").stdout
    for typed in ("do", "run --until", "run -semihosting-c", "ld --no-s"):
        script += f"echo asked; complete -C 'ekernel {typed}'\n"
    words = [oracle("fish"), "--no-config"]
    result = subprocess.run(words, input=script, capture_output=True, text=True, timeout=60, check=True)
    answers = [[line.split("\t")[0] for line in answer.split("\n") if line] for answer in result.stdout.split("asked")]
    assert answers == [[], ["doctor"], ["--until-console"], ["-semihosting-config"], []]
