"""What is typed: from the keyboard to whichever console the guest reads."""

from emu.devices.uart import Uart
from emu.devices.uart_registers import LSR, LSR_DATA_READY, RBR
from emu.hints import TYPE_CHECKING
from emu.machine.console import Keyboard

if TYPE_CHECKING:
    from emu.devices.virtio.console import Console as VirtioConsole


class TypedInput:
    """Hands out a byte each time the guest asks the UART, the SBI or its virtio console for one.

    A guest that has written to the virtio console gets it there, and from the UART no more.
    """

    def __init__(self, keyboard: Keyboard, uart: Uart, console: "VirtioConsole | None") -> None:
        self._keyboard, self._uart, self._console = keyboard, uart, console
        uart.wanted = self._feed_uart

    @property
    def is_waited_for(self) -> bool:
        """Whether typing would interrupt the guest."""
        console = self._console
        return console.is_waiting if console and console.in_use else self._uart.is_waiting

    def offer(self) -> None:
        """Give a guest that waits for the console's interrupt what was typed meanwhile."""
        console = self._console
        if console and console.in_use:
            console.receive()
        elif self._uart.is_waiting:
            self._feed_uart()

    def take(self) -> int:
        """What the SBI's `console_getchar` finds: the UART's next byte, as all firmware reads that, or -1."""
        if self._uart.read(LSR, 1) & LSR_DATA_READY:
            return self._uart.read(RBR, 1)
        return self._keyboard.take()

    def _feed_uart(self) -> None:
        console = self._console
        byte = -1 if console and console.in_use else self._keyboard.take()
        if byte >= 0:
            self._uart.receive((byte,))
