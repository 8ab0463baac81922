"""The guest's console and the trace on one stream, in the order in which they happened, told apart at a glance."""

from emu.events import Event
from emu.hints import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from emu.report.sentences import Sentences

_MARK = "┃"
_DIM, _RESET = "\x1b[36m", "\x1b[0m"


class Transcript:
    """Writes console bytes as they are and each traced event on a marked line of its own.

    An event in the middle of a console line ends that line on the stream, so that no line mixes the two.
    """

    def __init__(self, stream: BinaryIO, sentences: "Sentences | None", *, colour: bool, flush_lines: bool) -> None:
        """`sentences` say events; None where there will be none."""
        self._stream = stream
        self._sentences = sentences
        self._before, self._after = (_DIM, _RESET) if colour else ("", "")
        self._flush_lines = flush_lines
        self._line_is_open = False
        self.waits = False
        """Whether there may be output that was not handed on yet."""

    def console(self, data: bytes) -> None:
        """Write what the guest wrote."""
        self._stream.write(data)
        self.waits = True
        self._line_is_open = not data.endswith(b"\n")
        if self._flush_lines:
            self._stream.flush()

    def event(self, event: Event) -> None:
        """Write an event as a sentence behind its instruction count."""
        assert self._sentences is not None
        label, sentence = self._sentences.say(event)
        self.end_line()
        self.waits = True
        self._stream.write(f"{self._before}{_MARK}{event.instret:>12,} {label:<8} {sentence}{self._after}\n".encode())

    def end_line(self) -> None:
        """End the console line that is open, if any."""
        if self._line_is_open:
            self._stream.write(b"\n")
            self._line_is_open = False

    def flush(self) -> None:
        """Hand everything to the terminal or file."""
        self.waits = False
        self._stream.flush()
