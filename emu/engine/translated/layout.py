"""Where the two builds of Unicorn 2.1.4 that this program knows keep what translated code is made of.

Offsets in bytes, read in the machine code of the wheels from PyPI for x86-64 and AArch64 (manylinux); who is who is
told by the library's build ID, which changes with every byte of it.
"""

from emu.hints import NamedTuple


class Layout(NamedTuple):
    """Offsets in one build."""

    architecture: str
    ops: int
    """In the translator's context: the first operation of the block, then a pointer into the last one."""
    temps: int
    """In the context: the temporaries; the first ones are `Global`."""
    free_temps: int
    """In the context: 512 bits, one for each temporary of 64 bits that the translator has no use for any more."""
    engine: int
    """In the context: the engine (`uc_struct`)."""
    env_pointer: int
    """In the core (`CPUState`): where its state is (`env_ptr`)."""

    @property
    def registers(self) -> int:
        """In the context: the temporary of x1."""
        return self.temps + TEMP_SIZE * (Global.X0 + 1)


X86_64 = Layout("x86_64", ops=0x7388, temps=0x388, free_temps=0x148, engine=0x8970, env_pointer=0x128)
AARCH64 = Layout("aarch64", ops=0x7390, temps=0x390, free_temps=0x150, engine=0x8A90, env_pointer=0x198)
BUILDS = {
    "44285d3e80527122e9e361928189385906ec813e": X86_64,
    "0ca94f9db50b8ec0f19d911ea473b67f9f50f069": AARCH64,
}
"""By build ID: unicorn-2.1.4 for manylinux, as on PyPI."""

# The same in both builds.
ENGINE_CPU = 0x1B8
"""In the engine: the core (`uc->cpu`)."""
CORE_STATE = {"x86_64": 0x8D10, "aarch64": 0x8D80}
"""In the core: its state, behind its jump buffer, which is of another size on each host."""
STATE_FILLS = 0x690
"""Behind the state: the function of the core's class that fills its TLB (`tlb_fill`)."""
STATE_ASKED = 0x6D8
"""Behind the state: the function of the core's class that takes interrupts (`cpu_exec_interrupt`)."""
ENGINE_CODE_HOOKS = 0x370
"""In the engine: the begin of its list of code hooks."""
ENGINE_BLOCKS = 0x298
"""In the engine: the first of its blocks of memory (`RAMBlock`), which is the largest."""
BLOCK_HOST, BLOCK_SIZE, BLOCK_WORDS = 1, 3, 4
"""Words in there: where the host has it, and its length (`host`, `used_length`); how many are looked at."""
ENGINE_STOP_REQUEST = 0x56D
ENGINE_INVALID_ADDRESS, ENGINE_INVALID_ERROR = 0x588, 0x590
ENGINE_NO_EXIT_REQUEST = 0x7F2
"""In the engine, a byte: 1 keeps the translator from calling `helper_check_exit_request` behind each access."""
ENV_ENGINE = 0x618
"""In the state: the engine."""
ENV_EXIT_REQUEST = -0x10
"""From the state: a 32-bit word that is negative when the core is to leave translated code (`icount_decr`)."""
TLB, TLB_SHIFT, TLB_STORES, TLB_FETCHES, TLB_ADDEND = -0x50, 6, 8, 16, 32
"""From the state: for each MMU mode a mask and the address of its TLB; entries have 64 bytes, by page number: the page
for loads, for stores and for fetches, with flags, and what is to be added to an address to get the host's."""
MMU_MODES = 4
VICTIMS, VICTIMS_OF_A_MODE, VICTIM_ENTRIES = -0xB00, 0x2B8, 8
"""From the state: entries that others have replaced, which may come back; the distance from mode to mode; how many."""
TEMP_SIZE = 56
OP_PARAMETERS, OP_NEXT, OP_ARGUMENTS = 1, 8, 24
"""In an operation, whose first byte is its opcode. A call's parameters are results << 4 | arguments."""
LABEL_USES = 2
"""In a label, 16 bits: how many branches lead to it."""
BLOCK_LENGTH = 0x16
"""In a translation block, 16 bits, behind its pc: the number of its instructions (`icount`)."""


class Global:
    """Numbers of temporaries that stand for the core's state."""

    ENV = 0
    X0 = 1
    """x1 is the first that exists."""
    F0 = 33
    END = 65
    """Behind the last register."""
    PC = 65
