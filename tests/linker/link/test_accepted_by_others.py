"""What this linker writes is read by GNU's tools and gdb without complaint, and boots in QEMU."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.linker.dissect import SCRIPTS, Oracle

BOOT = """
    .section .text.entry, "ax"
    .globl _start
_start:
    la sp, stack_top
    call main
    li t0, 0x100000
    li t1, 0x5555
    beqz a0, 1f
    slli a0, a0, 16
    li t1, 0x3333
    or t1, t1, a0
1:  sw t1, (t0)
    j .
    .bss
    .balign 16
    .space 4096
    .globl stack_top
stack_top:
"""
MAIN = """
static const char text[] = "linked here\\n";
int counted;
int main(void) {
    for (const char *c = text; *c; c++) { *(volatile char *)0x10000000 = *c; counted++; }
    return counted == 12 ? 0 : 1;
}
"""
SCRIPT = """
ENTRY(_start)
SECTIONS {
  . = 0x80000000;
  .text : { *(.text.entry) *(.text .text.*) }
  .rodata : { *(.rodata .rodata.* .srodata*) }
  . = ALIGN(4K);
  .data : { *(.data .data.* .sdata*) }
  .bss : { *(.bss .bss.* .sbss* COMMON) }
}
"""


def build(tmp_path: Path, oracle: Oracle, our_ld: Callable[..., Path]) -> Path:
    (tmp_path / "boot.S").write_text(BOOT)
    (tmp_path / "main.c").write_text(MAIN)
    (tmp_path / "boot.ld").write_text(SCRIPT)
    compiler = oracle("riscv64-unknown-elf-gcc")
    flags = ["-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-O1", "-g", "-ffreestanding"]
    subprocess.run([compiler, *flags, "-c", "boot.S", "main.c"], check=True, cwd=tmp_path)
    return our_ld("-T", "boot.ld", "boot.o", "main.o")


def test_gnu_tools_read_it_without_complaint(
    tmp_path: Path, oracle: Oracle, our_ld: Callable[..., Path], compile_program: Callable[..., Path]
) -> None:
    programs = [build(tmp_path, oracle, our_ld).rename(tmp_path / "boot.elf")]
    objects = [compile_program(name, "-O1", "-g", "-fPIE", "-fcommon") for name in ("start.S", "main.c", "other.c")]
    programs += [
        our_ld("-T", SCRIPTS / script, *objects).rename(tmp_path / f"{script}.elf")
        for script in ("high_half.ld", "regions.ld", "phdrs.ld")
    ]
    commands = [
        [oracle("riscv64-unknown-elf-readelf"), "-aW", "--debug-dump=info,decodedline"],
        [oracle("riscv64-unknown-elf-objdump"), "-dSlx"],
        [oracle("riscv64-unknown-elf-nm")],
    ]
    for program in programs:
        for command in commands:
            done = subprocess.run([*command, str(program)], capture_output=True, check=True)
            assert done.stderr.decode() == ""


def test_gdb_finds_functions_lines_and_values(tmp_path: Path, oracle: Oracle, our_ld: Callable[..., Path]) -> None:
    program = build(tmp_path, oracle, our_ld)
    commands = ["info line main", "print sizeof(text)", "info symbol _start", "print &counted"]
    arguments = [argument for command in commands for argument in ("-ex", command)]
    done = subprocess.run(
        [oracle("gdb-multiarch"), "-q", "-nx", "-batch", *arguments, str(program)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert 'of "main.c" starts at address 0x800000' in done.stdout
    assert "= 13" in done.stdout
    assert "_start in section .text" in done.stdout
    assert "<counted>" in done.stdout


def test_it_boots_in_qemu(tmp_path: Path, oracle: Oracle, our_ld: Callable[..., Path]) -> None:
    program = build(tmp_path, oracle, our_ld)
    done = subprocess.run(
        [oracle("qemu-system-riscv64"), "-machine", "virt", "-bios", "none", "-nographic", "-kernel", str(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert (done.stdout, done.returncode) == ("linked here\n", 0)


def test_the_raw_image_boots_too(tmp_path: Path, oracle: Oracle, our_ld: Callable[..., Path]) -> None:
    from linker.commands.objcopy import main

    program = build(tmp_path, oracle, our_ld)
    image = tmp_path / "boot.bin"
    assert main(["-O", "binary", str(program), str(image)]) == 0
    gnu = tmp_path / "gnu.bin"
    subprocess.run([oracle("riscv64-unknown-elf-objcopy"), "-O", "binary", str(program), str(gnu)], check=True)
    assert image.read_bytes() == gnu.read_bytes()
    loader = f"loader,file={image},addr=0x80000000"
    done = subprocess.run(
        [oracle("qemu-system-riscv64"), "-machine", "virt", "-bios", "none", "-nographic", "-device", loader],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert (done.stdout, done.returncode) == ("linked here\n", 0)
