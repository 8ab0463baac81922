"""The flattened device tree: a tree of nodes to a blob and back (Devicetree specification 0.4, chapter 5).

PyPI's `fdt` and `pyfdt` guess each property's type from its bytes and trust every length and offset of a blob; a blob
that a user gives needs checks that name what is wrong with it, so both directions stand here.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence

from emu.devices.node import Node, Phandle, Property
from emu.errors import ConfigError, ImageError
from emu.lateclass import replace

MAGIC = 0xD00D_FEED
VERSION = 17
_LAST_COMPATIBLE = 16
_HEADER = struct.Struct(">10I")
"""magic, totalsize, off_dt_struct, off_dt_strings, off_mem_rsvmap, version, last_comp_version, boot_cpuid_phys,
size_dt_strings, size_dt_struct (section 5.2)."""
_RESERVATION = struct.Struct(">QQ")
_CELL = struct.Struct(">I")
_PROPERTY = struct.Struct(">II")
_BEGIN_NODE, _END_NODE, _PROP, _NOP, _END = 1, 2, 3, 4, 9
_DEEPEST = 64

Reservation = tuple[int, int]
"""Address and size of memory that the guest must leave alone (section 5.3)."""


def encode(root: Node, reservations: Sequence[Reservation] = ()) -> bytes:
    """The blob of a tree, version 17; labels become phandle numbers.

    Raises ConfigError for a reference to a label that no node has.

    >>> tree, _ = decode(encode(Node("", {"model": "m"}, (Node("a", {"x": (1, 2)}),))), "doctest")
    >>> text(tree, "model"), cells(find(tree, "/a"), "x")
    ('m', (1, 2))
    """
    phandles = {node.label: number for number, node in enumerate((n for n in walk(root) if n.label), start=1)}
    body, names = bytearray(), _Names()
    _encode_node(root, phandles, body, names)
    body += _CELL.pack(_END)
    reserved = b"".join(_RESERVATION.pack(*entry) for entry in (*reservations, (0, 0)))
    at_struct = _HEADER.size + len(reserved)
    at_strings = at_struct + len(body)
    total = _aligned(at_strings + len(names.block), 8)
    header = _HEADER.pack(
        MAGIC, total, at_struct, at_strings, _HEADER.size, VERSION, _LAST_COMPATIBLE, 0, len(names.block), len(body)
    )
    return (header + reserved + bytes(body) + bytes(names.block)).ljust(total, b"\0")


def decode(blob: bytes, name: str) -> tuple[Node, list[Reservation]]:
    """The tree of a blob, with all properties as bytes, and its reserved memory.

    Raises ImageError, which calls the blob `name`, for one that is damaged or of another version.
    """
    return _Decoder(blob, name).decode()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, parents first."""
    yield node
    for child in node.children:
        yield from walk(child)


def find(root: Node, path: str) -> Node:
    """The node at a path such as `/soc/serial@10000000`; raises KeyError."""
    node = root
    for part in path.split("/"):
        if part:
            matches = [child for child in node.children if child.name == part]
            if not matches:
                raise KeyError(path)
            node = matches[0]
    return node


def cells(node: Node, name: str) -> tuple[int, ...]:
    """A property of a decoded node as 32-bit cells; raises KeyError. Bytes that fill no cell are left out."""
    raw = _raw(node, name)
    return struct.unpack_from(f">{len(raw) // 4}I", raw)


def text(node: Node, name: str) -> str:
    """A property of a decoded node as its first string; raises KeyError."""
    return _raw(node, name).split(b"\0")[0].decode("utf-8", "replace")


def with_property(node: Node, name: str, value: Property) -> Node:
    """The node with one property set."""
    return replace(node, properties={**node.properties, name: value})


def with_child(node: Node, child: Node) -> Node:
    """The node with a child added, or replaced when one of this name is there."""
    if any(old.name == child.name for old in node.children):
        return replace(node, children=tuple(child if old.name == child.name else old for old in node.children))
    return replace(node, children=(*node.children, child))


def _raw(node: Node, name: str) -> bytes:
    value = node.properties[name]
    return value if isinstance(value, bytes) else _encode_value(value, {})


def _aligned(number: int, step: int) -> int:
    return -(-number // step) * step


class _Names:
    """The strings block: each property name once."""

    def __init__(self) -> None:
        self.block = bytearray()
        self._offsets: dict[str, int] = {}

    def offset(self, name: str) -> int:
        if name not in self._offsets:
            self._offsets[name] = len(self.block)
            self.block += name.encode() + b"\0"
        return self._offsets[name]


def _encode_node(node: Node, phandles: dict[str, int], body: bytearray, names: _Names) -> None:
    body += _CELL.pack(_BEGIN_NODE)
    _append_padded(body, node.name.encode() + b"\0")
    properties: dict[str, Property] = dict(node.properties)
    if node.label:
        properties["phandle"] = (phandles[node.label],)
    for name, value in properties.items():
        if value is False:
            continue
        try:
            raw = _encode_value(value, phandles)
        except KeyError as missing:
            raise ConfigError(
                f"the device-tree node '{node.name}' refers to {missing}, which this machine does not have; add it"
            ) from None
        body += _CELL.pack(_PROP) + _PROPERTY.pack(len(raw), names.offset(name))
        _append_padded(body, raw)
    for child in node.children:
        _encode_node(child, phandles, body, names)
    body += _CELL.pack(_END_NODE)


def _encode_value(value: Property, phandles: dict[str, int]) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b""
    if isinstance(value, str):
        return value.encode() + b"\0"
    return b"".join(_encode_element(element, phandles) for element in value)


def _encode_element(element: int | str | Phandle, phandles: dict[str, int]) -> bytes:
    if isinstance(element, str):
        return element.encode() + b"\0"
    return _CELL.pack(phandles[element.label] if isinstance(element, Phandle) else element)


def _append_padded(body: bytearray, raw: bytes) -> None:
    body += raw.ljust(_aligned(len(raw), 4), b"\0")


class _Decoder:
    """Reads one blob; every offset and length is checked before it is followed."""

    def __init__(self, blob: bytes, name: str) -> None:
        self._name = name
        if len(blob) < _HEADER.size:
            raise self._damaged(f"the header needs {_HEADER.size} bytes, the file has {len(blob)}")
        (
            magic,
            total,
            self._struct,
            self._strings,
            self._reserved,
            version,
            compatible,
            _,
            size_strings,
            size_struct,
        ) = _HEADER.unpack_from(blob)
        if magic != MAGIC:
            raise ImageError(f"{name} is not a device tree blob; compile the source with dtc -O dtb")
        if not (version >= _LAST_COMPATIBLE and compatible <= VERSION):
            raise ImageError(f"{name} is a device tree of version {version}; compile it again, for version {VERSION}")
        if total > len(blob):
            raise self._damaged(f"the header says {total} bytes, the file has {len(blob)}")
        self._blob = blob[:total]
        self._struct_end = self._block("structure", self._struct, size_struct if version >= VERSION else None)
        self._strings_end = self._block("strings", self._strings, size_strings)
        self._at = self._struct

    def decode(self) -> tuple[Node, list[Reservation]]:
        reservations = list(self._reservations())
        if self._token() != _BEGIN_NODE:
            raise self._damaged("the structure does not begin with a node")
        root = self._node(0)
        if self._token() != _END:
            raise self._damaged("something follows the root node")
        return root, reservations

    def _damaged(self, what: str) -> ImageError:
        return ImageError(f"the device tree {self._name} is damaged: {what}; compile or copy it again")

    def _block(self, what: str, start: int, size: int | None) -> int:
        end = len(self._blob) if size is None else start + size
        if start > len(self._blob) or end > len(self._blob):
            raise self._damaged(f"the {what} block at {start:#x}..{end:#x} lies outside the file")
        return end

    def _reservations(self) -> Iterator[Reservation]:
        at = self._reserved
        while at + _RESERVATION.size <= len(self._blob):
            address, size = _RESERVATION.unpack_from(self._blob, at)
            if address == size == 0:
                return
            yield address, size
            at += _RESERVATION.size
        raise self._damaged("the list of reserved memory has no end")

    def _token(self) -> int:
        while True:
            (token,) = _CELL.unpack(self._take(_CELL.size))
            if token != _NOP:
                return int(token)

    def _take(self, size: int) -> bytes:
        start, end = self._at, self._at + size
        if end > self._struct_end:
            raise self._damaged(f"the structure ends at {self._struct_end:#x}, {size} bytes are needed at {start:#x}")
        self._at = self._struct + _aligned(end - self._struct, 4)
        return self._blob[start:end]

    def _node(self, depth: int) -> Node:
        if depth == _DEEPEST:
            raise self._damaged(f"nodes are nested more than {_DEEPEST} deep")
        end = self._blob.find(b"\0", self._at, self._struct_end)
        if end < 0:
            raise self._damaged(f"the node name at {self._at:#x} has no end")
        name = self._text(self._take(end + 1 - self._at)[:-1])
        properties: dict[str, Property] = {}
        children = []
        while (token := self._token()) != _END_NODE:
            if token == _PROP:
                size, name_offset = _PROPERTY.unpack(self._take(_PROPERTY.size))
                properties[self._property_name(name_offset)] = self._take(size)
            elif token == _BEGIN_NODE:
                children.append(self._node(depth + 1))
            else:
                raise self._damaged(f"unknown token {token:#x} in node '{name}'")
        return Node(name, properties, tuple(children))

    def _property_name(self, offset: int) -> str:
        start = self._strings + offset
        end = self._blob.find(b"\0", start, self._strings_end)
        if end < 0:
            raise self._damaged(f"a property name at {offset:#x} lies outside the strings block")
        return self._text(self._blob[start:end])

    def _text(self, raw: bytes) -> str:
        try:
            return raw.decode("ascii")
        except UnicodeDecodeError:
            raise self._damaged(f"the name {raw!r} is not ASCII") from None


def as_source(node: Node, indent: str = "") -> Iterable[str]:
    """A decoded tree as lines of device-tree source, for people and for comparisons."""
    yield f"{indent}{node.name or '/'} {{"
    for name in node.properties:
        yield f"{indent}\t{name}{_value_source(_raw(node, name))};"
    for child in node.children:
        yield from as_source(child, indent + "\t")
    yield f"{indent}}};"


def _value_source(raw: bytes) -> str:
    if not raw:
        return ""
    strings = raw[:-1].split(b"\0")
    if raw.endswith(b"\0") and all(part and all(0x20 <= byte < 0x7F for byte in part) for part in strings):
        return " = " + ", ".join('"' + part.decode() + '"' for part in strings)
    if len(raw) % 4 == 0:
        return " = <" + " ".join(f"{cell:#x}" for (cell,) in _CELL.iter_unpack(raw)) + ">"
    return " = [" + raw.hex(" ") + "]"
