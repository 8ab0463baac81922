"""A machine under a debugger: waits for a client, stops and steps the guest as it says."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from emu.debug.gdb.connection import Arrival, Connection
from emu.debug.gdb.packets import Mark, Packet, framed
from emu.debug.gdb.reverse import Reverse
from emu.debug.gdb.session import MONITOR_WORDS, SIGINT, SIGTRAP, Answer, Session, Wish
from emu.errors import MachineError
from emu.machine import Machine, Outcome, StopReason

DEFAULT_ADDRESS = "tcp::1234"
"""Where QEMU's `-s` listens, too."""
_ENDED = (StopReason.POWERED_OFF, StopReason.RESET)
_SAYS_WHY = (StopReason.IDLE_FOREVER, StopReason.WANTS_INPUT)
_THREAD = "thread:1;"
_ALIVE = 1.0
"""Seconds between two signs of life while the monitor works: gdb complains after two without an answer."""


def _no_monitor(line: str) -> Iterable[str]:
    if not line or line.strip() in ("help", "?"):
        return ()
    return (f"'{line}' is not known here; there are {'; '.join(MONITOR_WORDS)}",)


class GdbServer:
    """Serves one gdb (or lldb) at a time: `target remote :1234`.

    With `halted` the guest does not run before a client lets it. `monitor` answers the lines of gdb's `monitor`.
    Raises ConfigError when the address is none or taken.

    >>> with GdbServer(Machine(), "tcp:127.0.0.1:0") as server:  # a free port
    ...     server.address.startswith("tcp:127.0.0.1:")
    True
    """

    def __init__(
        self,
        machine: Machine,
        address: str = DEFAULT_ADDRESS,
        *,
        halted: bool = False,
        monitor: Callable[[str], Iterable[str]] = _no_monitor,
    ) -> None:
        self._machine = machine
        self._monitor = monitor
        self._session: Session | None = None
        self._halted = halted
        self._acknowledges = True
        self._last_sent = b""
        self._connection = Connection(address, interrupt=machine.interrupt)

    @property
    def address(self) -> str:
        """Where it listens, with the port that was taken."""
        return self._connection.address

    @property
    def is_attached(self) -> bool:
        """Whether there is a client."""
        return self._session is not None

    @property
    def holds(self) -> bool:
        """Whether the guest may not run: the client has stopped it, or there is none yet and `halted` was said."""
        return self._halted

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let the client go, and listen no more."""
        self._drop()
        self._connection.close()

    def wake(self) -> None:
        """Make `talk` return, from another thread: the host wants something else."""
        self._connection.wake()

    def serve(self) -> Outcome:
        """Run the machine to its end, under whoever connects."""
        outcome: Outcome | None = None
        while True:
            if not self.talk(outcome):
                return outcome or Outcome(StopReason.INTERRUPTED, 0, self._machine.instret)
            try:
                outcome = self._machine.run()
            except MachineError as error:
                if not self.is_attached:
                    raise
                self.stopped_by_error(error)
                outcome = None
                continue
            if outcome.reason in _ENDED:
                self.ended(outcome)
                return outcome

    def talk(self, outcome: Outcome | None = None) -> bool:
        """Hear what arrived while the guest ran, and answer until the client lets it go on, or `wake` is called.

        `outcome` is how the run ended. Returns False when the client wants the machine to end.
        """
        with self._connection.listening():
            self._report(outcome)
            while self._halted or self._connection.has_news:
                arrived = self._connection.next()
                if arrived is Arrival.WOKEN:
                    break
                if not self._hear(arrived):
                    return False
        return True

    def ended(self, outcome: Outcome | None) -> None:
        """Tell the client that there is no guest any more; without an outcome, that the host has ended it."""
        self._send(b"X0f" if outcome is None else b"W%02x" % (outcome.exit_code & 0xFF))
        self._drop()

    def stopped_by_error(self, error: MachineError) -> None:
        """Show the client what no hart survives; it may look at the machine as it is."""
        self._say(str(error))
        self._stop(SIGTRAP, "")

    # What arrives.

    def _hear(self, arrived: Packet | Mark | Arrival) -> bool:
        if arrived is Arrival.CONNECTED:
            self._drop()
            self._session = Session(self._machine, self._monitor)
            self._machine.history.follow()
            self._acknowledges, self._halted = True, True
        elif arrived is Arrival.GONE:
            self._drop()
            self._halted = False
        elif isinstance(arrived, Packet):
            if self._acknowledges:
                self._connection.send(b"+")
            return self._obey(self._answer(arrived.data))
        elif arrived is Arrival.CLOSED:
            return False
        elif arrived is Mark.INTERRUPT and not self._halted:  # else it came too late, and has its answer already
            self._stop(SIGINT, "")
        elif arrived is Mark.REFUSED and self._acknowledges:
            self._connection.send(self._last_sent)
        elif arrived is Mark.DAMAGED and self._acknowledges:
            self._connection.send(b"-")
        return True

    def _answer(self, packet: bytes) -> Answer:
        if self._session is None:
            return Answer(None)
        if not packet.startswith(b"qRcmd,"):
            return self._session.handle(packet)
        with self._signs_of_life():
            return self._session.handle(packet)

    @contextmanager
    def _signs_of_life(self) -> Iterator[None]:
        """While it is entered, the client is sent an empty line for its console now and then."""
        done = threading.Event()

        def live() -> None:
            while not done.wait(_ALIVE):
                self._connection.send(framed(b"O"))

        thread = threading.Thread(target=live, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _obey(self, answer: Answer) -> bool:
        if answer.data is not None:
            self._send(answer.data)
        if answer.wish is Wish.NO_ACKNOWLEDGEMENTS:
            self._acknowledges = False
        elif answer.wish is Wish.CONTINUE and self._session is not None:
            self._session.watching.leave()
            self._halted = False
        elif answer.wish is Wish.STEP:
            try:
                self._step(answer.leave_range)
            except MachineError as error:
                self.stopped_by_error(error)
        elif answer.wish in (Wish.STEP_BACK, Wish.CONTINUE_BACK):
            self._go_back(answer.wish)
        elif answer.wish is Wish.DETACH:
            self._drop()
            self._connection.hang_up()
            self._halted = False
        elif answer.wish is Wish.KILL:
            self._drop()
            self._connection.hang_up()
            return False
        return True

    # Stopping and stepping.

    def _report(self, outcome: Outcome | None) -> None:
        """Tell the client why the guest stands, when it stands for the client."""
        session = self._session
        if session is None or outcome is None:
            return
        why = session.breakpoints.why()
        why = session.watching.why() or why
        if why is not None:
            self._stop(SIGTRAP, why)
        elif outcome.reason in _SAYS_WHY:
            self._say(outcome.description)
            self._stop(SIGTRAP, "")

    def _step(self, leave_range: tuple[int, int] | None) -> None:
        """Execute one instruction, or trap; with a range, until pc leaves it or something arrives."""
        session, machine = self._session, self._machine
        assert session is not None
        session.watching.leave()
        while True:
            outcome = machine.history.forward()
            stays = leave_range is not None and leave_range[0] <= machine.hart.pc < leave_range[1]
            if outcome.reason is not StopReason.INSTRUCTION_LIMIT or not stays or self._connection.has_news:
                break
        if outcome.reason in _ENDED:
            self._send(b"W%02x" % (outcome.exit_code & 0xFF))
            return
        if session.breakpoints.hit is not None or session.watching.hit is not None or outcome.reason in _SAYS_WHY:
            self._report(outcome)
        else:
            self._stop(SIGINT if self._connection.take_interrupt() else SIGTRAP, "")

    def _go_back(self, wish: Wish) -> None:
        session = self._session
        assert session is not None
        reverse = Reverse(
            self._machine, session.breakpoints, session.watching,
            has_news=lambda: self._connection.has_news, say=self._say,
        )  # fmt: skip
        why = reverse.step() if wish is Wish.STEP_BACK else reverse.go_on()
        self._stop(SIGINT if not why and self._connection.take_interrupt() else SIGTRAP, why)

    def _stop(self, signal: int, why: str) -> None:
        self._halted = True
        if self._session is not None:
            self._session.last_stop = f"T{signal:02x}{why}{_THREAD}".encode()
            self._send(self._session.last_stop)

    def _say(self, text: str) -> None:
        """A line on the client's console."""
        self._send(b"O" + f"{text}\n".encode().hex().encode())

    # The connection.

    def _send(self, data: bytes) -> None:
        if self._session is not None:
            self._last_sent = framed(data)
            self._connection.send(self._last_sent)

    def _drop(self) -> None:
        """Forget the client and what it has set; `close` may come from another thread while the client leaves."""
        session, self._session = self._session, None
        if session is not None:
            session.breakpoints.clear()
            session.watching.clear()
