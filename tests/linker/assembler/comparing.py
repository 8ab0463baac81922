"""Many composed sources through both assemblers: `python -m tests.linker.assembler.comparing FIRST LAST`."""

import shutil
import sys
import tempfile
from pathlib import Path

from tests.linker.assembler.conftest import Reference
from tests.linker.assembler.test_composed_sources import differences


def main(first: int, last: int) -> int:
    """Compare the sources of the seeds from `first` to before `last`; the number that differ."""
    program = shutil.which("riscv64-unknown-elf-as")
    if program is None:
        sys.exit("comparing needs riscv64-unknown-elf-as: install binutils-riscv64-unknown-elf")
    different = 0
    with tempfile.TemporaryDirectory() as directory:
        reference = Reference(program, Path(directory))
        for seed in range(first, last):
            if found := differences(reference, seed):
                different += 1
                print(found, flush=True)
            if (seed + 1) % 500 == 0:
                print(f"{seed + 1 - first} sources, {different} of them differ", flush=True)
    return different


if __name__ == "__main__":
    sys.exit(1 if main(int(sys.argv[1]), int(sys.argv[2])) else 0)
