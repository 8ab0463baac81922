"""Traces for Perfetto (https://ui.perfetto.dev): protocol buffers, by Perfetto's own package."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from emu.errors import ConfigError
from emu.report.files.timeline import FRAMES, HEAP, Begun, Counted, Ended, Happened, Item, Stack
from emu.report.tracefile import Sink

if TYPE_CHECKING:
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TracePacket

_PROCESS, _COUNTERS, _STACKS = 1, {FRAMES: 2, HEAP: 3}, 16
"""Numbers of tracks; a stack's is its own behind _STACKS."""
_PACKET = 0x0A
"""Field 1 of `Trace`, with a length: a trace is one packet after the other."""


def write_perfetto(items: Iterable[Item], stream: Sink, program: str) -> None:
    """Write a trace; a nanosecond of it is an instruction. Raises ConfigError without the package `perfetto`."""
    writer = _Writer(stream)
    writer.process(program)
    for item in items:
        if isinstance(item, Stack):
            writer.stack(item)
        elif isinstance(item, Counted):
            writer.counted(item)
        else:
            writer.event(item)


class _Writer:
    def __init__(self, stream: Sink) -> None:
        try:
            from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TracePacket, TrackEvent
        except ImportError:
            raise ConfigError("-format perfetto needs the package perfetto: pip install 'ekernel[perfetto]'") from None

        self._packet, self._stream = TracePacket(), stream
        self._first, self._later = (
            TracePacket.SEQ_INCREMENTAL_STATE_CLEARED, TracePacket.SEQ_NEEDS_INCREMENTAL_STATE,
        )  # fmt: skip
        self._counter = TrackEvent.TYPE_COUNTER
        self._kinds = {
            Begun: TrackEvent.TYPE_SLICE_BEGIN, Ended: TrackEvent.TYPE_SLICE_END, Happened: TrackEvent.TYPE_INSTANT,
        }  # fmt: skip
        self._names: dict[str, int] = {}
        self._counters: set[str] = set()

    def process(self, program: str) -> None:
        """The one process of the trace."""
        packet = self._new(0)
        packet.sequence_flags = self._first
        packet.track_descriptor.uuid = _PROCESS
        packet.track_descriptor.process.pid, packet.track_descriptor.process.process_name = 1, program
        self._write()

    def stack(self, item: Stack) -> None:
        """A stack is one of its threads."""
        descriptor = self._new(0).track_descriptor
        descriptor.uuid, descriptor.parent_uuid = _STACKS + item.number, _PROCESS
        descriptor.thread.pid, descriptor.thread.tid, descriptor.thread.thread_name = 1, item.number, item.name
        self._write()

    def counted(self, item: Counted) -> None:
        """A counter, and before its first value what it counts."""
        if item.counter not in self._counters:
            self._counters.add(item.counter)
            descriptor = self._new(0).track_descriptor
            descriptor.uuid, descriptor.parent_uuid = _COUNTERS[item.counter], _PROCESS
            descriptor.name, descriptor.counter.unit_name = item.counter, "bytes" if item.counter == HEAP else "frames"
            self._write()
        event = self._new(item.instret).track_event
        event.type, event.track_uuid, event.counter_value = self._counter, _COUNTERS[item.counter], item.value
        self._write()

    def event(self, item: Begun | Ended | Happened) -> None:
        """A beginning, an end or an instant."""
        packet = self._new(item.instret)
        event = packet.track_event
        event.type, event.track_uuid = self._kinds[type(item)], _STACKS + item.stack
        if not isinstance(item, Ended):
            number = self._names.get(item.name)
            if number is None:
                number = self._names[item.name] = len(self._names) + 1
                packet.interned_data.event_names.add(iid=number, name=item.name)
            event.name_iid = number
            event.categories.append(item.category if isinstance(item, Begun) else "event")
            for name, value in item.details.items():
                event.debug_annotations.add(name=name, string_value=str(value))
        self._write()

    def _new(self, instret: int) -> "TracePacket":
        packet = self._packet
        packet.Clear()
        packet.timestamp, packet.trusted_packet_sequence_id, packet.sequence_flags = instret, 1, self._later
        return packet

    def _write(self) -> None:
        data = self._packet.SerializeToString()
        size, head = len(data), bytearray([_PACKET])
        while size > 0x7F:
            head.append(size & 0x7F | 0x80)
            size >>= 7
        head.append(size)
        self._stream.write(bytes(head) + data)
