"""What each input of the log does to the machine when it is lived again."""

from emu.address import VirtAddr
from emu.engine.window import Word
from emu.hart.view import Hart
from emu.hart.words import PC, RETURN_ADDRESS
from emu.hints import cast
from emu.isa.privilege import Privilege
from emu.isa.registers import A0, RA
from emu.machine.history.inputs import What
from emu.machine.platform import Platform

_ALL = (1 << 64) - 1
_INTEGERS, _FA0 = 8, Word.F0 + 10


def carry_out(platform: Platform, what: What) -> None:
    """Do what came from outside, but for `load` and `reset`, which are the runner's."""
    match what:
        case ("typed", bytes(data)):
            platform.keyboard.put(data)
        case ("offered",):
            platform.typed.offer()
        case ("input ended", bool(ended)):
            platform.keyboard.end(ended)
        case ("memory", int(address), bytes(data)):
            platform.memory.transfer(address, data)
        case ("translations",):
            platform.core.flush_translations()
        case ("call", int(function), tuple(arguments)):
            words = platform.core.words
            for number, argument in enumerate(arguments):  # behind eight integers those in fa0 and following
                words[A0 + number if number < _INTEGERS else _FA0 + number - _INTEGERS] = argument & _ALL
            words[RA], words[PC] = RETURN_ADDRESS, function & _ALL
            platform.core.engine.window.store()
            platform.core.called_by_host(words[PC])
            platform.core.returned = platform.is_asleep = False
        case ("registers", bytes(registers), bool(is_asleep)):
            platform.core.restore_registers(registers)
            platform.core.between_blocks(int(Hart(platform.core).pc))
            platform.core.returned, platform.is_asleep = False, is_asleep
        case _:
            kind, number, value = cast("tuple[str, int, int]", what)
            _write_register(Hart(platform.core), kind, number, value)


def _write_register(hart: Hart, kind: str, number: int, value: int) -> None:
    if kind == "x":
        hart.x[number] = value
    elif kind == "f":
        hart.f[number] = value
    elif kind == "csr":
        hart.csr[number] = value
    elif kind == "pc":
        hart.pc = VirtAddr(value)
    elif kind == "privilege":
        hart.privilege = Privilege(value)
    else:
        raise ValueError(f"nothing of the kind '{kind}' comes from outside")
