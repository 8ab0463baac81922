"""Scripts composed at random and objects of three compilers, linked here and by GNU ld: the results are the same."""

import subprocess
from pathlib import Path

import pytest

from linker.commands.ld import main
from tests.linker.dissect import Oracle, dissect
from tests.linker.link.generated import Case, generate

PIECES = Path(__file__).parent / "pieces"
MACHINE = ["-march=rv64gc", "-mabi=lp64d"]
COMPILED = [*MACHINE, "-mcmodel=medany", "-O1", "-ffreestanding"]
COMPLAINTS = ("can't be allocated in segment", "adjusted to")
"""What GNU ld says of its own output: a file that no loader can use is no measure."""
SHARE = 125
"""Links of one test: four tests of them run in CI."""


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory, oracle: Oracle) -> Path:
    """A directory with the objects that the cases name."""
    home = tmp_path_factory.mktemp("pool")
    gcc, clang = oracle("riscv64-unknown-elf-gcc"), [oracle("clang"), "--target=riscv64-unknown-elf"]
    rust = [oracle("/usr/bin/rustc"), "--target=riscv64gc-unknown-none-elf", "-Cpanic=abort", "-Copt-level=1"]
    separate = ["-g", "-fcommon", "-ffunction-sections", "-fdata-sections"]
    commands = [
        [gcc, *MACHINE, "-c", "start.s", "-o", home / "start.o"],
        [gcc, *MACHINE, "-c", "odd.s", "-o", home / "odd.o"],
        [gcc, *COMPILED, "-c", "code.c", "-o", home / "gcc.o"],
        [gcc, *COMPILED, *separate, "-c", "code.c", "-o", home / "sections.o"],
        [gcc, *COMPILED, "-c", "more.c", "-o", home / "more.o"],
        [*clang, *COMPILED, "-c", "code.c", "-o", home / "clang.o"],
        [*clang, *COMPILED, "-c", "thread.c", "-o", home / "thread.o"],
        [*rust, "-Ccodegen-units=1", "--emit=obj", "crate.rs", "-o", home / "rust.o"],
    ]
    for command in commands:
        environment = {"RUSTC_BOOTSTRAP": "1", "PATH": "/usr/bin:/bin"}
        subprocess.run([str(word) for word in command], check=True, cwd=PIECES, env=environment, capture_output=True)
    return home


def write(case: Case, home: Path) -> None:
    for name, text in case.scripts.items():
        (home / name).write_text(text)


def differences(gnu: Path, ours: Path) -> list[str]:
    """What differs between two executables, in words."""
    expected, found = dissect(gnu), dissect(ours)
    result = []
    for what in ("header", "sections", "segments", "symbols"):
        left, right = getattr(expected, what), getattr(found, what)
        if left != right:
            missing = [item for item in left if item not in right] if what != "header" else left
            extra = [item for item in right if item not in left] if what != "header" else right
            result.append(f"{what}: GNU has {missing}, we have {extra}")
    result += [f"contents of {name}" for name, data in expected.contents.items() if found.contents.get(name) != data]
    return result


def compare(seed: int, home: Path, linker: str) -> str:
    """What the link of a seed shows: '' when both agree, also in refusing it."""
    case = generate(seed)
    write(case, home)
    gnu, ours = home / "gnu.elf", home / "ours.elf"
    command = [linker, "--no-relax", "--no-warn-rwx-segments", "-o", str(gnu), *case.arguments]
    reference = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    if any(complaint in reference.stderr for complaint in COMPLAINTS):
        return ""
    status = main(["--no-warn-rwx-segments", "-o", str(ours), *case.arguments])
    if (status == 0) != (reference.returncode == 0):
        return f"GNU's status is {reference.returncode}, ours {status}: {reference.stderr}"
    return "; ".join(differences(gnu, ours)) if status == 0 else ""


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 4 * SHARE, SHARE))
def test_generated_links_are_gnus(
    first: int,
    pool: Path,
    oracle: Oracle,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    linker = oracle("riscv64-unknown-elf-ld")
    monkeypatch.chdir(pool)
    found: dict[int, str] = {}
    for seed in range(first, first + SHARE):
        difference = compare(seed, pool, linker)
        said = capsys.readouterr().err
        if difference and "of the file" not in said:  # a file of more than 256 MiB is refused here
            found[seed] = f"{difference}\n{said}"
    assert found == {}, "\n".join(f"{seed}: {text[:600]}" for seed, text in found.items())


def test_one_seed_is_one_case() -> None:
    assert generate(7) == generate(7)
    assert generate(7) != generate(8)
