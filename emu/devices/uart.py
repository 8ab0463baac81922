"""UART 16550A: the serial port (National Semiconductor PC16550D datasheet; interrupts in the way of QEMU's serial.c).

Sending takes no time. What is typed waits outside until the receiver has room, so nothing overruns; the receiver's
character timeout is up as soon as its FIFO holds less than the trigger level.
"""

from collections import deque
from collections.abc import Callable, Iterable
from functools import cache

from emu.devices.device import InterruptLine
from emu.devices.node import PLIC, Node, wide
from emu.devices.uart_registers import (
    FCR_FIFO_ENABLE,
    FCR_KEPT,
    FCR_RECEIVER_RESET,
    FCR_TRANSMITTER_RESET,
    IER_MSI,
    IER_RDI,
    IER_RLSI,
    IER_THRI,
    IIR_CTI,
    IIR_FIFO_ENABLED,
    IIR_MSI,
    IIR_NO_INT,
    IIR_RDI,
    IIR_RLSI,
    IIR_THRI,
    LCR_DLAB,
    LSR_BREAK,
    LSR_DATA_READY,
    LSR_ERRORS,
    LSR_OVERRUN,
    MCR_DTR,
    MCR_LOOPBACK,
    MCR_OUT1,
    MCR_OUT2,
    MCR_RTS,
    MSR_DELTAS,
    SCR,
    TRIGGER_LEVELS,
    State,
)  # fmt: skip
from emu.hints import Protocol, cast
from emu.lateclass import replace

FIFO_DEPTH = 16
LOOKS = 16
"""So many looks at LSR with nothing between them: the guest waits for input. Sending needs one look a byte."""
_CLOCK_HZ = 3_686_400


def _ignore_wish() -> None:
    """Nobody types."""


class Port(Protocol):
    """Who answers for THR and LSR as long as nothing comes of it, without a word to the device."""

    @property
    def waits(self) -> bool:
        """Whether anything was sent that nobody has taken."""

    def offer(self, *, puts: bool, looks: int, most_looks: int, status: int) -> None:
        """Whether bytes may be sent; how often LSR may be read as `status`, now and after a byte was sent."""

    def take(self) -> tuple[bytes, int]:
        """What was sent since, and how many of the looks are left. Nothing is offered any more."""


class Uart:
    """A 16550A. `output` gets what the guest sends, byte by byte; `receive` is given what was typed.

    A register answers at its own offset whatever the size of the access, as on QEMU.

    >>> from emu.devices.uart_registers import LSR, LSR_DATA_READY, RBR, THR
    >>> uart = Uart(print, lambda level: None)
    >>> uart.write(THR, 1, ord("A"))
    b'A'
    >>> uart.receive(b"x"); uart.read(LSR, 1) & LSR_DATA_READY, chr(uart.read(RBR, 1))
    (1, 'x')
    """

    name = "uart"
    size = 0x1000

    def __init__(
        self,
        output: Callable[[bytes], None],
        irq: InterruptLine,
        *,
        base: int = 0x1000_0000,
        irq_number: int = 10,
    ) -> None:
        self.base = base
        self.irq_number = irq_number
        self._output = output
        self._irq = irq
        self.wanted: Callable[[], None] = _ignore_wish
        """Called when the guest begins to wait for input and there is none: `receive` may be called from here."""
        self._typed: deque[int] = deque()
        self._state = State()
        self._port: Port | None = None
        self._offers_looks = False
        """Whether the port has been offered them."""

    @property
    def port(self) -> Port | None:
        """Who answers for the two registers that a console asks for each byte; None: nobody but the device."""
        return self._port

    @port.setter
    def port(self, port: Port | None) -> None:
        self._settle()
        self._port = port
        self._offer()

    def flush(self) -> None:
        """Give to the output what the port has sent meanwhile."""
        if self._port is not None and self._port.waits:
            self._settle()
            self._offer()

    def _settle(self) -> None:
        """Do what comes of all that the port has answered; from now on the device is asked, until `_offer`."""
        if self._port is None:
            return
        state, offers, self._offers_looks = self._state, self._offers_looks, False
        sent, left = self._port.take()
        if sent:
            state.looks, state.thr_pending = 0, True
        if offers:
            state.looks = LOOKS - 1 - left
        if sent:
            self._output(sent)

    def _offer(self) -> None:
        """Let the port answer as long as nothing else comes of it: no interrupt, no byte that is received."""
        if self._port is None:
            return
        state = self._state
        self._offers_looks = looks = not (state.received or state.lsr & (LSR_BREAK | LSR_OVERRUN))
        self._port.offer(
            puts=not (state.ier or state.lcr & LCR_DLAB or state.mcr & MCR_LOOPBACK),
            looks=max(LOOKS - 1 - state.looks, 0) if looks else 0,
            most_looks=LOOKS - 1 if looks else 0,
            status=state.lsr,
        )

    def receive(self, data: Iterable[int]) -> None:
        """Give the receiver bytes that were typed; they wait here until there is room."""
        self._settle()
        self._typed.extend(data)
        self._fill()
        self._update()
        self._offer()

    @property
    def is_waiting(self) -> bool:
        """Whether an interrupt is to tell the guest of input, and there is none."""
        return bool(self._state.ier & IER_RDI) and not self._state.received

    @property
    def waiting(self) -> int:
        """How many typed bytes the guest has not read yet."""
        return len(self._typed) + len(self._state.received)

    def takes(self, offset: int, size: int) -> bool:  # noqa: ARG002
        """Its eight registers, in any size."""
        return offset <= SCR

    def read(self, offset: int, size: int) -> int:  # noqa: ARG002
        """The register at `offset`."""
        self._settle()
        try:
            return self._READERS[offset](self)
        finally:
            self._offer()

    def write(self, offset: int, size: int, value: int) -> None:  # noqa: ARG002
        """Write the register at `offset`."""
        self._settle()
        try:
            self._state.looks = 0
            self._WRITERS[offset](self, value & 0xFF)
            if self.is_waiting:
                self.wanted()
        finally:
            self._offer()

    def reset(self) -> None:
        """Back to the master-reset state (datasheet, table I); what was typed and not received is kept."""
        self._settle()
        self._state = State()
        self._update()
        self._offer()

    def save(self) -> object:
        """All registers, the FIFO and what waits for it."""
        self._settle()
        self._offer()
        return replace(self._state, received=deque(self._state.received)), tuple(self._typed)

    def restore(self, state: object) -> None:
        """Return to a saved state and set the line by it."""
        saved, typed = cast("tuple[State, tuple[int, ...]]", state)
        self._settle()
        self._state = replace(saved, received=deque(saved.received))
        self._typed = deque(typed)
        self._update()
        self._offer()

    def nodes(self) -> tuple[Node, ...]:
        """Node `serial`."""
        return _nodes(self.base, self.irq_number)

    # Interrupts

    def _source(self) -> int:
        """The interrupt of the highest priority, as IIR names it."""
        state = self._state
        enabled = state.ier
        if not enabled:
            return IIR_NO_INT
        if enabled & IER_RLSI and state.lsr & LSR_ERRORS:
            return IIR_RLSI
        if enabled & IER_RDI and state.received:
            return IIR_RDI if len(state.received) >= self._trigger() else IIR_CTI
        if enabled & IER_THRI and state.thr_pending:
            return IIR_THRI
        if enabled & IER_MSI and state.msr & MSR_DELTAS:
            return IIR_MSI
        return IIR_NO_INT

    def _trigger(self) -> int:
        return TRIGGER_LEVELS[self._state.fcr >> 6] if self._state.fcr & FCR_FIFO_ENABLE else 1

    def _update(self) -> None:
        self._irq(self._source() != IIR_NO_INT)

    # Receiver

    def _depth(self) -> int:
        return FIFO_DEPTH if self._state.fcr & FCR_FIFO_ENABLE else 1

    def _fill(self) -> None:
        """Take what was typed while there is room; in loopback the line is disconnected (8.8)."""
        if not self._state.mcr & MCR_LOOPBACK:
            while self._typed and len(self._state.received) < self._depth():
                self._take(self._typed.popleft())
        self._show_data_ready()

    def _show_data_ready(self) -> None:
        self._state.lsr = self._state.lsr & ~LSR_DATA_READY | (LSR_DATA_READY if self._state.received else 0)

    def _take(self, byte: int) -> None:
        """Receive a byte; without a FIFO it destroys one that was not read (8.4, bit 1)."""
        state = self._state
        if len(state.received) == self._depth():
            state.lsr |= LSR_OVERRUN
        if not state.fcr & FCR_FIFO_ENABLE:
            state.rbr = byte
            state.received.clear()
        if len(state.received) < self._depth():
            state.received.append(byte)
        self._show_data_ready()

    # Registers, in the order of their offsets

    def _read_data(self) -> int:
        if self._state.lcr & LCR_DLAB:
            return self._state.divisor & 0xFF
        state = self._state
        byte = state.received.popleft() if state.received else 0
        if not state.fcr & FCR_FIFO_ENABLE:
            byte = state.rbr
        state.looks = 0
        self._fill()
        self._update()
        if self.is_waiting:
            self.wanted()
        return byte

    def _write_data(self, value: int) -> None:
        state = self._state
        if state.lcr & LCR_DLAB:
            state.divisor = state.divisor & 0xFF00 | value
            return
        if state.mcr & MCR_LOOPBACK:
            self._take(value)
        else:
            self._output(bytes((value,)))
        state.thr_pending = True  # sent already: the holding register is empty again
        self._update()

    def _read_ier(self) -> int:
        return self._state.divisor >> 8 if self._state.lcr & LCR_DLAB else self._state.ier

    def _write_ier(self, value: int) -> None:
        if self._state.lcr & LCR_DLAB:
            self._state.divisor = value << 8 | self._state.divisor & 0xFF
            return
        changed = self._state.ier ^ value
        self._state.ier = value & 0x0F
        if changed & IER_THRI:
            # Enabling it while the holding register is empty requests one at once (8.7).
            self._state.thr_pending = bool(value & IER_THRI)
        if changed & 0x0F:
            self._update()

    def _read_iir(self) -> int:
        source = self._source()
        if source == IIR_THRI:
            self._state.thr_pending = False
            self._update()
        return source | (IIR_FIFO_ENABLED if self._state.fcr & FCR_FIFO_ENABLE else 0)

    def _write_fcr(self, value: int) -> None:
        if (value ^ self._state.fcr) & FCR_FIFO_ENABLE:
            value |= FCR_RECEIVER_RESET | FCR_TRANSMITTER_RESET  # changing the mode clears both FIFOs (8.5, bit 0)
        if value & FCR_RECEIVER_RESET:
            self._state.received.clear()
            self._state.lsr &= ~LSR_BREAK
        if value & FCR_TRANSMITTER_RESET:
            self._state.thr_pending = True
        self._state.fcr = value & FCR_KEPT
        self._fill()
        self._update()

    def _read_lcr(self) -> int:
        return self._state.lcr

    def _write_lcr(self, value: int) -> None:
        self._state.lcr = value

    def _read_mcr(self) -> int:
        return self._state.mcr

    def _write_mcr(self, value: int) -> None:
        self._state.mcr = value & 0x1F
        if self._typed:
            self._fill()
            self._update()

    def _read_lsr(self) -> int:
        if not self._state.received:
            self._state.looks += 1
            if self._state.looks >= LOOKS:
                self._state.looks = 0
                self.wanted()
        value = self._state.lsr
        if value & (LSR_BREAK | LSR_OVERRUN):
            self._state.lsr &= ~(LSR_BREAK | LSR_OVERRUN)
            self._update()
        return value

    def _read_msr(self) -> int:
        if self._state.mcr & MCR_LOOPBACK:
            # The four outputs stand at the four inputs (8.8): DTR at DSR, RTS at CTS, OUT1 at RI, OUT2 at DCD.
            mcr = self._state.mcr
            return (mcr & MCR_DTR) << 5 | (mcr & MCR_RTS) << 3 | (mcr & (MCR_OUT1 | MCR_OUT2)) << 4
        value = self._state.msr
        if value & MSR_DELTAS:
            self._state.msr &= ~MSR_DELTAS
            self._update()
        return value

    def _ignore(self, value: int) -> None:
        """LSR and MSR are read only."""

    def _read_scr(self) -> int:
        return self._state.scr

    def _write_scr(self, value: int) -> None:
        self._state.scr = value

    _READERS: tuple[Callable[["Uart"], int], ...] = (
        _read_data, _read_ier, _read_iir, _read_lcr, _read_mcr, _read_lsr, _read_msr, _read_scr,
    )  # fmt: skip
    _WRITERS: tuple[Callable[["Uart", int], None], ...] = (
        _write_data, _write_ier, _write_fcr, _write_lcr, _write_mcr, _ignore, _ignore, _write_scr,
    )  # fmt: skip


@cache
def _nodes(base: int, irq_number: int) -> tuple[Node, ...]:
    return (
        Node(
            f"serial@{base:x}",
            {
                "interrupts": (irq_number,),
                "interrupt-parent": (PLIC,),
                "clock-frequency": (_CLOCK_HZ,),
                "reg": wide(base, 0x100),
                "compatible": "ns16550a",
            },
        ),
    )
