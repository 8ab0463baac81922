"""Packets survive the wire whatever is in them, and however it cuts them."""

from hypothesis import given
from hypothesis import strategies as st

from emu.debug.gdb.packets import LARGEST_PACKET, Mark, Packet, PacketReader, framed


@given(packets=st.lists(st.binary(max_size=50)), cut=st.integers(1, 7))
def test_packets_arrive_as_they_were_sent(packets: list[bytes], cut: int) -> None:
    wire = b"+".join(framed(packet) for packet in packets)
    reader = PacketReader()
    arrived = [item for at in range(0, len(wire), cut) for item in reader.feed(wire[at : at + cut])]
    assert [item.data for item in arrived if isinstance(item, Packet)] == packets
    assert all(item is Mark.ACKNOWLEDGED for item in arrived if not isinstance(item, Packet))


@given(st.binary(max_size=400))
def test_no_bytes_upset_the_reader(data: bytes) -> None:
    reader = PacketReader()
    list(reader.feed(data))
    assert list(reader.feed(b"#00" + framed(b"g")))[-1] == Packet(b"g")


def test_a_wrong_checksum_and_a_packet_that_is_too_long_are_damaged() -> None:
    assert list(PacketReader().feed(b"$g#00")) == [Mark.DAMAGED]
    assert list(PacketReader().feed(framed(b"m" * (LARGEST_PACKET + 1)))) == [Mark.DAMAGED]
