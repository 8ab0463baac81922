"""Building: what is in the image, and when it is built."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from kernel.build import PROFILES, BuiltKernel, KernelBuildError, build, is_up_to_date, profile_named
from linker.errors import ScriptError

ALL = sorted(PROFILES)
BOUNDARIES = ["stext", "etext", "srodata", "erodata", "sdata", "edata", "sbss", "ebss", "ekernel"]


@pytest.mark.parametrize("name", ALL)
def test_the_sections_come_in_order_and_begin_on_pages(kernel_of: Callable[..., BuiltKernel], name: str) -> None:
    symbols = kernel_of(name).symbols()
    addresses = [symbols[boundary] for boundary in BOUNDARIES]
    assert addresses == sorted(addresses)
    assert all(address % 4096 == 0 for address in addresses)
    assert symbols["skernel"] == symbols["stext"] == symbols["_start"] == kernel_of(name).profile.link_address
    assert symbols["end"] == symbols["ekernel"]
    assert symbols["stext"] <= symbols["strampoline"] <= symbols["etext"]


@pytest.mark.parametrize("name", ALL)
def test_the_heap_lies_in_bss_and_the_guard_page_below_the_stack(
    kernel_of: Callable[..., BuiltKernel], name: str
) -> None:
    symbols = kernel_of(name).symbols()
    assert symbols["sbss"] <= symbols["heap_space"] < symbols["ebss"]
    assert symbols["heap_space_end"] - symbols["heap_space"] == kernel_of(name).profile.heap_size
    assert symbols["boot_stack_guard"] + 4096 == symbols["boot_stack"] < symbols["boot_stack_top"]


@pytest.mark.parametrize("name", ALL)
def test_the_entry_is_the_lowest_load_address(kernel_of: Callable[..., BuiltKernel], name: str) -> None:
    kernel = kernel_of(name)
    with kernel.elf.open("rb") as file:
        elf = ELFFile(file)
        loads = [segment["p_paddr"] for segment in elf.iter_segments() if segment["p_type"] == "PT_LOAD"]
        assert elf["e_entry"] == min(loads) == kernel.profile.load_address


@pytest.mark.parametrize("name", ALL)
def test_no_section_is_writable_and_executable(kernel_of: Callable[..., BuiltKernel], name: str) -> None:
    with kernel_of(name).elf.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            assert section["sh_flags"] & 0x5 != 0x5, section.name


@pytest.mark.parametrize(("name", "store"), [*((name, None) for name in ALL), ("shell", "disk")])
def test_every_function_has_a_size(kernel_of: Callable[..., BuiltKernel], name: str, store: str | None) -> None:
    with kernel_of(name, store=store).elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        functions = {s.name: s["st_size"] for s in table.iter_symbols() if s["st_info"]["type"] == "STT_FUNC"}
    assert len(functions) > 60
    assert [name for name, size in functions.items() if size == 0] == []


def test_a_second_build_has_nothing_to_do(tmp_path: Path) -> None:
    profile = profile_named("step-by-step")
    assert not is_up_to_date(profile, tmp_path)
    assert build(profile, tmp_path).fresh
    written = (tmp_path / "kernel.elf").stat().st_mtime_ns
    assert is_up_to_date(profile, tmp_path)
    assert not build(profile, tmp_path).fresh
    assert (tmp_path / "kernel.elf").stat().st_mtime_ns == written


@pytest.mark.parametrize("damaged", ["kernel.elf", "kernel.stamp", "kernel.map"])
def test_a_missing_or_damaged_file_is_built_again(
    kernel_of: Callable[..., BuiltKernel], tmp_path: Path, damaged: str
) -> None:
    profile = profile_named("step-by-step")
    shutil.copytree(kernel_of("step-by-step").elf.parent, tmp_path, dirs_exist_ok=True)
    assert not build(profile, tmp_path).fresh
    good = (tmp_path / "kernel.elf").read_bytes()
    if damaged == "kernel.map":
        (tmp_path / damaged).unlink()
    else:
        (tmp_path / damaged).write_bytes(b"nonsense")
    assert build(profile, tmp_path).fresh
    assert (tmp_path / "kernel.elf").read_bytes() == good
    assert {path.name for path in tmp_path.iterdir()} == {"kernel.elf", "kernel.map", "kernel.stamp"}


def test_another_allocator_or_constant_makes_another_kernel(
    kernel_of: Callable[..., BuiltKernel], tmp_path: Path
) -> None:
    profile = profile_named("step-by-step")
    shutil.copytree(kernel_of("step-by-step").elf.parent, tmp_path, dirs_exist_ok=True)
    assert is_up_to_date(profile, tmp_path)
    assert not is_up_to_date(replace(profile, frames="stack"), tmp_path)
    assert not is_up_to_date(replace(profile, heap_size=2 << 20), tmp_path)
    assert build(profile, tmp_path, frames="stack", heap="first-fit").profile.frames == "stack"


def test_an_unknown_profile_is_refused_with_those_there_are() -> None:
    with pytest.raises(KernelBuildError, match=r"no profile 'step'.*full.*step-by-step"):
        profile_named("step")


def test_an_unknown_allocator_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(KernelBuildError, match=r"no frame allocator 'slab'.*bitmap"):
        build(profile_named("full"), tmp_path, frames="slab")
    with pytest.raises(KernelBuildError, match=r"no heap 'slab'.*buddy"):
        build(profile_named("full"), tmp_path, heap="slab")


def test_a_directory_that_cannot_be_made_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(KernelBuildError, match=r"cannot write .*choose another output directory"):
        build(profile_named("step-by-step"), tmp_path / "file" / "inside")


def test_files_of_the_current_directory_stay_out_of_the_kernel(
    kernel_of: Callable[..., BuiltKernel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = kernel_of("full").symbols()
    here = tmp_path / "here"
    here.mkdir()
    for program in profile_named("full").programs:
        (here / f"{program}.elf").write_bytes(b"not this one")
    monkeypatch.chdir(here)
    assert build(profile_named("full"), tmp_path / "again").symbols() == expected


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"programs": ("hello", "absent")}, r"profile 'full' names kernel/user/absent\.S, and there is no such file"),
        ({"main": "profiles/absent.S"}, r"names kernel/profiles/absent\.S, and there is no such file"),
        ({"heap_size": 5000}, r"heap_size of the profile must be a multiple of 4096"),
        ({"virtual_offset": 0x1_0000}, r"virtual_offset of the profile must be a multiple of 0x40000000"),
        (
            {"memory_end": 0x9000_0000},
            r"memory_end is 0x90000000, and must .* not above 0x88000000, where its RAM ends",
        ),
        ({"memory_end": 0x8000_0000}, r"must lie above load_address \(0x80200000\)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_profile_that_cannot_work_is_refused_with_what_is_wrong(
    tmp_path: Path, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises((KernelBuildError, ScriptError), match=message):
        build(replace(profile_named("full"), **wrong), tmp_path)  # type: ignore[arg-type]
