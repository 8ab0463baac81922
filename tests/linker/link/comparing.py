"""Links a generated case here and with GNU ld, and tells what differs.

A campaign over many seeds, one line for each difference; those that docs/toolchain.md lists do not count:

    python -m tests.linker.link.comparing 1000 500 [DIRECTORY]
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from linker.commands.as_ import main as assemble
from linker.commands.ld import main
from tests.linker.dissect import Oracle, dissect
from tests.linker.link.generated import Case, generate

PIECES = Path(__file__).parent / "pieces"
MACHINE = ["-march=rv64gc", "-mabi=lp64d"]
COMPILED = [*MACHINE, "-mcmodel=medany", "-O1", "-ffreestanding"]
COMPLAINTS = ("can't be allocated in segment", "adjusted to", "assertion fail", "internal error")
"""What GNU ld says of its own output: a file that no loader can use, or itself calls a bug, is no measure."""
TOO_LARGE = "of the file"
"""A file of more than 256 MiB is refused here."""
BACKWARDS = "cannot move location counter backwards"
"""GNU ld refuses a `.` that moves back in one of its passes, also when the last pass leaves it where it is."""
LISTED = "listed in docs/toolchain.md: "
"""How the text of a difference begins that the documentation tells."""
_SIZE = 5
"""The column of a section's size in what `dissect` tells of it."""


def make_pool(home: Path, oracle: Oracle) -> Path:
    """Fill a directory with the objects that the cases name."""
    gcc, clang = oracle("riscv64-unknown-elf-gcc"), [oracle("clang"), "--target=riscv64-unknown-elf"]
    rust = [oracle("/usr/bin/rustc"), "--target=riscv64gc-unknown-none-elf", "-Cpanic=abort", "-Copt-level=1"]
    separate = ["-g", "-fcommon", "-ffunction-sections", "-fdata-sections"]
    framed = ["-fasynchronous-unwind-tables", "-ffunction-sections"]
    commands = [
        [gcc, *MACHINE, "-c", "start.s", "-o", home / "start.o"],
        [gcc, *MACHINE, "-c", "odd.s", "-o", home / "odd.o"],
        [gcc, *MACHINE, "-c", "kernel.s", "-o", home / "kernel.o"],
        [gcc, *MACHINE, "-c", "unwind.s", "-o", home / "unwind.o"],
        [gcc, *COMPILED, "-c", "code.c", "-o", home / "gcc.o"],
        [gcc, *COMPILED, *separate, "-c", "code.c", "-o", home / "sections.o"],
        [gcc, *COMPILED, *framed, "-c", "code.c", "-o", home / "framed.o"],
        [gcc, *COMPILED, "-fPIC", "-c", "code.c", "-o", home / "pic.o"],
        [gcc, *COMPILED, "-c", "more.c", "-o", home / "more.o"],
        [gcc, *COMPILED, "-fPIC", "-c", "thread.c", "-o", home / "thread_pic.o"],
        [*clang, *COMPILED, "-c", "code.c", "-o", home / "clang.o"],
        [*clang, *COMPILED, *framed, "-g", "-c", "more.c", "-o", home / "more_framed.o"],
        [*clang, *COMPILED, "-c", "thread.c", "-o", home / "thread.o"],
        [*rust, "-Ccodegen-units=1", "--emit=obj", "crate.rs", "-o", home / "rust.o"],
        [*rust, "-Cforce-unwind-tables=yes", "-g", "--emit=obj", "crate.rs", "-o", home / "rust_framed.o"],
    ]
    for name in ("kernel", "unwind"):
        assert assemble([*MACHINE, str(PIECES / f"{name}.s"), "-o", str(home / f"{name}_ours.o")]) == 0
    environment = {"RUSTC_BOOTSTRAP": "1", "PATH": "/usr/bin:/bin"}
    for command in commands:
        subprocess.run([str(word) for word in command], check=True, cwd=PIECES, env=environment, capture_output=True)
    return home


def differences(gnu: Path, ours: Path) -> list[str]:
    """What differs between two executables, in words."""
    expected, found = dissect(gnu), dissect(ours)
    result = []
    if expected.header != found.header:
        result.append(f"header: GNU has {expected.header}, we have {found.header}")
    for what in ("sections", "segments", "symbols"):
        left, right = getattr(expected, what), getattr(found, what)
        if left != right:
            missing, extra = Counter(left) - Counter(right), Counter(right) - Counter(left)
            result.append(f"{what}: GNU has {list(missing.elements())}, we have {list(extra.elements())}")
    contents = expected.contents.items()
    result += [f"contents of {name}" for name, data in contents if found.contents.get(name, b"") != data]
    unlike = set(expected.sections) ^ set(found.sections)
    if len(result) == 1 and unlike and not any(section[_SIZE] for section in unlike):
        return [f"{LISTED}an empty section: {result[0]}"]
    return result


def compare(case: Case, home: Path, linker: str) -> str:
    """What the link of a case shows: '' when both agree, also in refusing it. In the directory of the objects."""
    for name, text in case.scripts.items():
        (home / name).write_text(text)
    gnu, ours = home / "gnu.elf", home / "ours.elf"
    command = [linker, "--no-relax", "--no-warn-rwx-segments", "-o", str(gnu), *case.arguments]
    reference = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    if any(complaint in reference.stderr for complaint in COMPLAINTS):
        return ""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        status = main(["--no-warn-rwx-segments", "-o", str(ours), *case.arguments])
    if (status == 0) == (reference.returncode == 0):
        return "; ".join(differences(gnu, ours)) if status == 0 else ""
    if TOO_LARGE in said.getvalue():
        return ""
    if status == 0 and BACKWARDS in reference.stderr:
        return f"{LISTED}GNU ld {BACKWARDS} in a pass before the last"
    return f"GNU's status is {reference.returncode}, ours {status}: {reference.stderr}{said.getvalue()}"


def campaign(first: int, count: int, home: Path) -> int:
    """Compare the links of many seeds; returns how many differ in what the documentation does not list."""
    if not (home / "rust.o").exists():
        make_pool(home, str)
    os.chdir(home)
    differing = 0
    for seed in range(first, first + count):
        difference = compare(generate(seed), home, "riscv64-unknown-elf-ld")
        differing += bool(difference) and not difference.startswith(LISTED)
        if difference:
            print(f"{seed}: {difference}", flush=True)
        if (seed - first) % 500 == 499:
            print(f"-- {first} to {seed}: {differing} differ", flush=True)
    return differing


if __name__ == "__main__":
    where = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(tempfile.mkdtemp())
    where.mkdir(parents=True, exist_ok=True)
    sys.exit(bool(campaign(int(sys.argv[1]), int(sys.argv[2]), where)))
