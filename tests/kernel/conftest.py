"""Kernels built once for all tests, and machines that they have booted on."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig
from kernel.build import BuiltKernel, build, profile_named


@pytest.fixture(scope="session")
def kernel_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., BuiltKernel]:
    """The kernel of a profile, with other allocators, page replacement and store if wanted."""
    directory = tmp_path_factory.mktemp("kernels")

    @cache
    def built(
        name: str,
        frames: str | None = None,
        heap: str | None = None,
        replacement: str | None = None,
        store: str | None = None,
    ) -> BuiltKernel:
        place = directory / f"{name}-{frames}-{heap}-{replacement}-{store}"
        return build(profile_named(name), place, frames=frames, heap=heap, replacement=replacement, store=store)

    return built


@pytest.fixture(scope="session")
def machine_with() -> Callable[[Path, int], Machine]:
    """A machine with a kernel loaded that has not run yet."""

    def loaded(elf: Path, ram_size: int) -> Machine:
        machine = Machine(MachineConfig(ram_size=ram_size))
        machine.load(elf)
        return machine

    return loaded


@pytest.fixture(scope="session")
def paging_kernel(
    kernel_of: Callable[..., BuiltKernel], machine_with: Callable[[Path, int], Machine]
) -> tuple[Machine, object]:
    kernel = kernel_of("full")
    machine = machine_with(kernel.elf, kernel.profile.ram_size)
    machine.run(2_000_000, until="process_selftest")
    assert machine.hart.pc == machine.address_of("process_selftest")
    return machine, machine.snapshot()


@pytest.fixture
def paging(paging_kernel: tuple[Machine, object]) -> Machine:
    """The kernel of `full`, with all memory set up, paging on and the trampoline mapped, before it starts a process."""
    machine, snapshot = paging_kernel
    machine.restore(snapshot)
    return machine
