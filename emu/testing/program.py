"""A program of a test's own, from assembly text to a machine that stands at its first instruction."""

from functools import lru_cache

from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig
from linker import link
from linker.assembler import assemble
from linker.script.parser import parse_script
from linker.script.syntax import Script

_KERNEL, _FIRMWARE = 0x8020_0000, 0x8000_0000


@lru_cache(maxsize=8)
def _script(base: int) -> Script:
    text = f"""
        ENTRY(_start)
        SECTIONS {{
            . = {base:#x};
            .text : {{ *(.text .text.*) }}
            .data : {{ *(.rodata .rodata.* .data .data.* .sdata .sdata.*) }}
            .bss : {{ *(.bss .bss.* .sbss .sbss.* COMMON) }}
            _end = .;
        }}"""
    return parse_script(text, "script.ld")


@lru_cache(maxsize=256)
def built(source: str, base: int) -> Image:
    """An image whose first instruction is the source's first; `.data` and `.bss` follow, up to `_end`."""
    code = assemble(f".text\n.globl _start\n_start:\n{source}\n", name="test.S")
    return Image.from_bytes(link([code], script=_script(base)).elf, "test.elf")


def program(source: str, config: MachineConfig) -> Machine:
    """A machine with the program loaded; raises ToolchainError for a source with mistakes."""
    machine = Machine(config)
    machine.load(built(source, _FIRMWARE if config.firmware == "none" else _KERNEL))
    return machine
