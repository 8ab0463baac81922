"""Which frames hold translated code, and the hooks that keep stores to them visible to the translator.

With memory hooks outside RAM only, Unicorn 2.1.4 takes a page for clean of code after the first store through a
non-executable mapping: later stores invalidate nothing and stale code runs. A dummy hook over the code cures it; in
chunks of 64 KiB, because the core walks the list of hooks at each fill.
"""

from emu.engine import library
from emu.engine.library import Handle

CHUNK_BITS = 16
"""log2 of the bytes that one hook covers."""


class CodePages:
    """The chunks of RAM that code was fetched from."""

    def __init__(self, handle: Handle, base: int, size: int) -> None:
        self._handle = handle
        self._base, self._size = base, size
        self.chunks: set[int] = set()
        """Numbers (physical address >> CHUNK_BITS) of chunks whose stores the translator sees."""
        self._waiting: list[int] = []
        self._dummy: object

        def never(_engine: int, _kind: int, _address: int, _size: int, _value: int, _data: int) -> bool:
            return False

        self._dummy = library.MemoryCallback(never)

    def add(self, chunk: int) -> None:
        """Note that code is about to be translated from a chunk; `protect` or `settle` must follow."""
        self.chunks.add(chunk)
        self._waiting.append(chunk)

    def protect(self) -> None:
        """Hook the chunks that were added. Called between translation and execution: flushing is safe there."""
        if not self._waiting:
            return
        for chunk in self._waiting:
            start = chunk << CHUNK_BITS
            library.add_hook(
                self._handle, library.HOOK_FETCH_UNMAPPED, self._dummy, None, start, start + (1 << CHUNK_BITS) - 1
            )
        self._waiting.clear()
        library.flush_tlb(self._handle)

    settle = protect

    def holds_code(self, physical: int, length: int) -> bool:
        """Whether any chunk of a range holds translated code."""
        if length <= 0:
            return False
        chunks = self.chunks
        return any(
            chunk in chunks for chunk in range(physical >> CHUNK_BITS, ((physical + length - 1) >> CHUNK_BITS) + 1)
        )
