"""Test finisher: the register by which a guest ends the machine (SiFive `test0`; QEMU, hw/misc/sifive_test.c)."""

from functools import cache

from emu.devices.node import Node, Phandle, Property, wide
from emu.devices.power import PowerOff, PowerRequest

FINISHER = 0
"""The only register: a status in bits 15..0 and an exit code in bits 31..16."""
PASS = 0x5555
FAIL = 0x3333
RESET = 0x7777


class Finisher:
    """The test finisher. FAIL without a code ends with 1, because a failure must not look like a success.

    >>> finisher = Finisher(lambda request, code: print(request.name, code))
    >>> finisher.write(FINISHER, 4, 7 << 16 | FAIL)
    SHUTDOWN 7
    """

    name = "test"
    size = 0x1000

    def __init__(self, power_off: PowerOff, *, base: int = 0x0010_0000) -> None:
        self.base = base
        self._power_off = power_off

    def takes(self, offset: int, size: int) -> bool:  # noqa: ARG002
        """Halfwords and words, as on QEMU."""
        return size in (2, 4)

    def read(self, offset: int, size: int) -> int:  # noqa: ARG002
        """Reads are 0."""
        return 0

    def write(self, offset: int, size: int, value: int) -> None:  # noqa: ARG002
        """End the machine when the value says so; unknown values do nothing."""
        if offset != FINISHER:
            return
        status, code = value & 0xFFFF, value >> 16 & 0xFFFF
        if status == PASS:
            self._power_off(PowerRequest.SHUTDOWN, 0)
        elif status == FAIL:
            self._power_off(PowerRequest.SHUTDOWN, code or 1)
        elif status == RESET:
            self._power_off(PowerRequest.COLD_REBOOT, 0)

    def reset(self) -> None:
        """It has no state."""

    def save(self) -> object:
        """It has no state."""
        return None

    def restore(self, state: object) -> None:
        """It has no state."""

    def nodes(self) -> tuple[Node, ...]:
        """The finisher, and how a generic driver powers off and reboots by it."""
        return _nodes(self.name, self.base, self.size)


@cache
def _nodes(name: str, base: int, size: int) -> tuple[Node, ...]:
    switch: dict[str, Property] = {"regmap": (Phandle(name),), "offset": (0,)}
    return (
        Node(
            f"test@{base:x}",
            {"reg": wide(base, size), "compatible": ("sifive,test1", "sifive,test0", "syscon")},
            label=name,
        ),
        Node("poweroff", {"value": (PASS,), **switch, "compatible": "syscon-poweroff"}, at_root=True),
        Node("reboot", {"value": (RESET,), **switch, "compatible": "syscon-reboot"}, at_root=True),
    )
