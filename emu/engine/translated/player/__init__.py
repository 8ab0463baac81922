"""The native function that stands in front of the translator's last step, and gives a block operations of our own.

`tcg_gen_code` gets all operations that a block was translated to. The player finds the plan of its core (see
`emu.engine.translated.plan`), writes the plan's operations between the block's, and hands on. It keeps nothing
outside its stack but the plan's serial number: any number of cores may translate at once, and a core without a plan,
of this program or of another user of Unicorn in the process, gets what it would have got.
"""

from enum import IntEnum

from emu.engine.native import Probe

CALLED = (
    "tcg_gen_code", "tcg_op_insert_before", "tcg_op_remove", "tcg_temp_new_internal", "gen_new_label",
    "helper_check_exit_request", "cpu_loop_exit", "cpu_exit", "uc_emu_stop",
    "get_page_addr_code_hostp", "riscv_cpu_set_mode", "tlb_flush", "tcg_optimize",
    "cpu_lduw_code", "gen_intermediate_code",
)  # fmt: skip
"""The library's functions that the native code calls or looks for, in the order of the table it begins with."""


class Entry(IntEnum):
    """The native functions, in the order of the jumps behind that table."""

    GEN_CODE = 0
    """In the place of `tcg_gen_code`."""
    LATE = 1
    """Called by a block that does not begin: its deadline has come, the core is asked to leave, a buffer is full."""
    MEMORY = 2
    """A memory callback that leaves the core by itself where its Python callback has refused or stopped."""
    CODE = 3
    """The same for code callbacks."""
    SET_MODE = 4
    """In the place of `riscv_cpu_set_mode`."""
    OPTIMIZE = 5
    """In the place of `tcg_optimize`."""
    FETCH_CODE = 6
    """In the place of `cpu_lduw_code`, by which the translator fetches."""
    TRANSLATE = 7
    """In the place of `gen_intermediate_code`, the translator's front end."""


_NAMES = ("gen_code", "late", "memory", "code", "set_mode", "optimize", "fetch_code", "translate")


def _x86_64() -> str:
    from emu.engine.translated.player import callbacks, hooking, modes, optimizing
    from emu.engine.translated.player import x86_64 as player_x86_64

    jumps = "".join(f"jmp {name}\n .p2align 3\n" for name in _NAMES)
    parts = player_x86_64.SOURCE, callbacks.X86_64, modes.X86_64, optimizing.X86_64, hooking.X86_64
    return _table() + jumps + "".join(parts)


def _aarch64() -> str:
    from emu.engine.translated.player import aarch64 as player_aarch64
    from emu.engine.translated.player import callbacks, hooking, modes, optimizing

    jumps = "".join(f"b {name}\n nop\n" for name in _NAMES)
    parts = player_aarch64.SOURCE, callbacks.AARCH64, modes.AARCH64, optimizing.AARCH64, hooking.AARCH64
    return _table() + jumps + "".join(parts)


def _table() -> str:
    return "".join(f"{name}: .quad 0\n" for name in CALLED)


PLAYER = Probe("player", _x86_64, _aarch64)
"""A table of addresses, to be filled in; a jump to each function, eight bytes long; the functions."""
