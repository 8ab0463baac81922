"""Cores of the library's: made, given back, and used again by a next engine as if they were new.

To make a core and to end it takes the library as long as Python takes for all the rest of a machine. A few that were
given back wait for the next machine with the same memory map: their code, hooks, translations and registers are gone by
then, and their RAM is another. Only cores whose layout is known are used again: those with native probes.
"""

import ctypes
import gc
import mmap
from weakref import finalize

from emu.buffers import buffer_address, words_type
from emu.engine import library, native
from emu.engine.library import Handle
from emu.engine.native import Probe
from emu.engine.translated import layout
from emu.engine.traps import interrupts
from emu.engine.window import STATE_BYTES, DirectWindow, Word
from emu.errors import ConfigError
from emu.hints import Any, NamedTuple

_ROOM = (1 << 30) + (64 << 20)
"""Bytes of address space that a core takes: its buffer for translated code, which it does not ask for twice."""
_MOST_WAITING = 2
_ALL = (1 << 64) - 1
# The engine, an offset in a device, the size, and two words: the device's first address, and where the answer is.
READ = Probe(
    "read_device",
    x86_64="""
    mov rax, [rcx]
    mov rdx, [rcx+8]
    add rax, rsi
    sub rax, [rdx+8]
    cmp rax, 8
    jae nothing
    lea ecx, [rax*8]
    mov rax, [rdx]
    shr rax, cl
    ret
nothing:
    xor eax, eax
    ret
""",
    aarch64="""
    ldp x9, x10, [x3]
    ldp x11, x12, [x10]
    add x9, x9, x1
    sub x9, x9, x12
    cmp x9, #8
    b.hs nothing
    lsl x9, x9, #3
    lsr x0, x11, x9
    ret
nothing:
    mov x0, #0
    ret
""",
)
Ranges = tuple[tuple[int, int], ...]
"""First physical addresses and sizes."""


class MemoryMap(NamedTuple):
    """Where the guest has what, by physical address."""

    base: int
    """Of RAM."""
    size: int
    devices: Ranges


class _Used(NamedTuple):
    """A core that waits for its next user."""

    handle: Handle
    fresh: bytes
    answer: memoryview
    callbacks: tuple[Any, ...]


_waiting: dict[MemoryMap, list[_Used]] = {}


class Core:
    """An RV64 core of the library's, with RAM and devices mapped, for as long as this object lives."""

    def __init__(self, memory_map: MemoryMap, host_address: int, *, used: bool = False) -> None:
        """The host has RAM at `host_address`. `used`: one that was given back will do.

        Raises MachineError where the library makes none, ConfigError where the host has no room for another.
        """
        self._map = memory_map
        self._fresh = b""
        """The state of a core that nobody has used yet."""
        found = _take(memory_map) if used else None
        self.is_new = found is None
        if found is not None:
            self.handle, self._fresh, self.answer, self._callbacks = found
            _ram_block(self.handle)[layout.BLOCK_HOST] = host_address
        else:
            _check_room()
            self.handle = Handle()
            self.answer = memoryview(words_type(2)()).cast("B").cast("Q")
            """What the load from a device that the core is in gives, and the first address of that load."""
            library.open_core(self.handle)
        self._end = finalize(self, library.close_core, self.handle)
        self._end.atexit = False  # what a process has is given back with it, and sooner
        if self.is_new:
            library.set_exits(self.handle, [])
            library.map_ram(self.handle, memory_map.base, memory_map.size, host_address)
            self._callbacks = tuple(
                _map_devices(self.handle, *each, self.answer, is_native=used) for each in memory_map.devices
            )

    def is_fresh(self, window: DirectWindow) -> None:
        """The state, in which nothing was executed yet, is the one that a next user is to find."""
        state = bytearray(window.octets)
        memoryview(state).cast("Q")[Word.RDTIME_FUNCTION] = 0
        self._fresh = bytes(state)

    def give_back(self, state_address: int, host_address: int) -> None:
        """Let a next engine have the core. Nobody may use it any more, nor this object."""
        if not self._end.alive:  # the library has ended the core: garbage of Python's is taken apart in any order
            return
        handle = self.handle
        block = _ram_block(handle)
        if block[layout.BLOCK_HOST] != host_address or block[layout.BLOCK_SIZE] != self._map.size:
            return  # it lies elsewhere than expected: the core ends with this object
        library.set_exits(handle, [])
        library.set_tlb_mode(handle, library.TLB_CPU)
        ctypes.memmove(state_address, self._fresh, STATE_BYTES)
        library.flush_blocks(handle)
        library.flush_tlb(handle)
        for identifier in tuple(handle.hooks):  # last: it forgets hooked code by virtual address, as the state has it
            library.remove_hook(handle, identifier)
        interrupts.ask_core(handle)
        self._end.detach()
        _waiting.setdefault(self._map, []).append(_Used(handle, self._fresh, self.answer, self._callbacks))
        _end_waiting(_MOST_WAITING)


def _take(memory_map: MemoryMap) -> _Used | None:
    try:
        return _waiting[memory_map].pop()
    except LookupError:  # none is there, or another thread was quicker
        return None


def _end_waiting(most: int) -> None:
    """End cores that wait, those of the maps that were not used for the longest time first."""
    while sum(len(cores) for cores in list(_waiting.values())) > most:
        for memory_map in list(_waiting):
            used = _take(memory_map)
            if used is not None:
                library.close_core(used.handle)
                break


def make_room() -> None:
    """Give the host back what cores hold that nobody uses, and machines that nobody holds."""
    _end_waiting(0)
    gc.collect()  # machines that are part of a cycle are closed by this, and their cores wait again
    _end_waiting(0)


def _ram_block(handle: Handle) -> "ctypes.Array[ctypes.c_uint64]":
    """The library's description of RAM, the largest of its blocks of memory."""
    block = ctypes.c_uint64.from_address((handle.value or 0) + layout.ENGINE_BLOCKS).value
    return words_type(layout.BLOCK_WORDS).from_address(block)


def _map_devices(handle: Handle, base: int, size: int, answer: memoryview, *, is_native: bool) -> object:
    """Have the core ask at accesses to a range; what must be kept as long as the core."""

    def read(_engine: int, offset: int, _size: int, _data: int) -> int:
        value, address = answer
        if base + offset < address:  # the rest of an access that was refused, in the page behind it
            return 0
        return value >> (8 * (base + offset - address)) & _ALL

    words = words_type(2)(base, buffer_address(answer))
    callback = None if is_native else library.MmioReadCallback(read)
    function = native.load(READ) if callback is None else library.address_of(callback)
    library.check(
        library.mmio_map(handle, base, size, function, ctypes.addressof(words), None, None),
        f"map a device at {base:#x}",
    )
    # Protection hooks see the whole access and an exact pc; the core's own device callbacks get neither.
    library.check(library.mem_protect(handle, base, size, library.PROT_NONE), "protect a device")
    return callback, words


def _check_room() -> None:
    """Raise ConfigError where the core would find no room for what it translates, and end the process."""
    for attempt in range(2):
        try:
            mmap.mmap(-1, _ROOM, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
        except (OSError, ValueError, AttributeError) as error:
            if isinstance(error, AttributeError):  # a host without mmap's flags
                return
            if attempt:
                raise ConfigError(
                    f"the host gives this process no {_ROOM >> 20} MiB of address space for the engine ({error}); "
                    "close other machines, or raise the limit (ulimit -v)"
                ) from None
            make_room()
        else:
            return
