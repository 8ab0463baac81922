"""C prototypes as signatures, read by pycparser."""

import ctypes
import re
from collections.abc import Callable, Iterator
from typing import Any

from pycparser import c_ast, c_generator
from pycparser.c_parser import CParser, ParseError

from emu.errors import ConfigError
from emu.firmware.ctype import INTEGERS, CType, Parameter, Signature, in_memory, pointer_to

Known = Callable[[str], CType | None]
"""Finds a type by its name or by `struct NAME`, in the image's debug information say."""

_BASIC: dict[str, CType] = {
    "_Bool": ctypes.c_bool, "float": ctypes.c_float, "double": ctypes.c_double,
    "char": ctypes.c_uint8, "signed char": ctypes.c_int8, "unsigned char": ctypes.c_uint8,
}  # fmt: skip
"""`char` has no sign on RISC-V (psABI, section 5.1)."""
_NAMED: dict[str, CType] = {
    "bool": ctypes.c_bool, "size_t": ctypes.c_uint64, "ssize_t": ctypes.c_int64, "ptrdiff_t": ctypes.c_int64,
    "uintptr_t": ctypes.c_uint64, "intptr_t": ctypes.c_int64, "wchar_t": ctypes.c_int32, "off_t": ctypes.c_int64,
    "uchar": ctypes.c_uint8, "ushort": ctypes.c_uint16, "uint": ctypes.c_uint32, "ulong": ctypes.c_uint64,
} | {
    spelled: kind
    for (size, signed), kind in INTEGERS.items()
    for spelled in (
        (f"int{8 * size}_t", f"s{8 * size}", f"i{8 * size}", f"int{8 * size}") if signed
        else (f"uint{8 * size}_t", f"u{8 * size}", f"uint{8 * size}")
    )
}  # fmt: skip
"""Names that headers give to types everywhere, or in Linux and xv6; those of the image's own headers go before them."""
_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_KEYWORDS = frozenset(
    {"void", "char", "short", "int", "long", "float", "double", "signed", "unsigned", "const", "volatile", "restrict"}
    | {"struct", "union", "enum", "typedef", "extern", "static", "inline", "register", "auto", "_Bool", "sizeof"}
)
_INTEGER_SIZE = {"short": 2, "long": 8, "__int128": 16}


def read_prototype(text: str, known: Known = lambda _name: None) -> Signature:
    """The signature of the last function that C text declares; types may be declared before it.

    Raises ConfigError for what is no C, and for a type that nobody knows.

    >>> read = read_prototype("int sum(int first, unsigned long)")
    >>> read.name, read.result.__name__, [(each.name, each.spelling) for each in read.parameters]
    ('sum', 'c_int', [('first', 'int'), ('', 'unsigned long')])
    """
    names = {word: kind for word in _names(text) if (kind := known(word) or _NAMED.get(word)) is not None}
    source = "".join(f"typedef int {name};" for name in names) + text.strip().rstrip(";") + ";"
    try:
        tree = CParser().parse(source)
    except ParseError as error:
        raise ConfigError(f"{text!r} is no prototype of C that can be read{_place(str(error))}") from None
    declarations = tree.ext[len(names) :]
    reader = _Reader(names, known)
    for declaration in declarations[:-1]:
        reader.declare(declaration)
    last = declarations[-1] if declarations else None
    if not isinstance(last, c_ast.Decl) or not isinstance(last.type, c_ast.FuncDecl):
        raise ConfigError(f"{text!r} declares no function: write its prototype, for example int sum(int, int)")
    return reader.function(last)


def _names(text: str) -> Iterator[str]:
    """The words of a prototype that may name types."""
    defined = set(re.findall(r"typedef[^;]*?(\w+)\s*;", text))
    tags = set(re.findall(r"(?:struct|union|enum)\s+(\w+)", text))
    return (word for word in dict.fromkeys(_WORD.findall(text)) if word not in _KEYWORDS | defined | tags)


def _place(message: str) -> str:
    found = re.search(r"before: (\S+)", message)
    if found is None:
        return ""
    return f": near '{found[1]}' (if a type's name comes before it, declare that type in front: typedef unsigned NAME;)"


class _Reader:
    """Turns declarations into types."""

    def __init__(self, names: dict[str, CType], known: Known) -> None:
        self._names, self._known = names, known
        self._tags: dict[str, CType] = {}
        self._write = c_generator.CGenerator()

    def declare(self, node: Any) -> None:
        """Remember a type that a declaration names."""
        if isinstance(node, c_ast.Typedef):
            kind = self._type(node.type)
            if kind is not None:
                self._names[node.name] = kind
        elif isinstance(node, c_ast.Decl) and not isinstance(node.type, c_ast.FuncDecl):
            self._type(node.type)

    def function(self, node: Any) -> Signature:
        """A function's signature."""
        parameters, variadic = list[Parameter](), False
        for each in node.type.args.params if node.type.args else ():
            if isinstance(each, c_ast.EllipsisParam):
                variadic = True
                continue
            kind = self._type(each.type, parameter=True)
            if kind is None:
                if len(node.type.args.params) == 1:
                    break  # (void)
                raise ConfigError(f"{node.name}: a parameter of type void cannot be passed")
            parameters.append(Parameter(getattr(each, "name", None) or "", kind, self._spelling(each.type)))
        return Signature(node.name, self._type(node.type.type), tuple(parameters), variadic)

    def _spelling(self, node: Any) -> str:
        text: str = self._write.visit(c_ast.Typename(None, [], None, node))
        name = node
        while not isinstance(name, c_ast.TypeDecl) and hasattr(name, "type"):
            name = name.type
        declared = getattr(name, "declname", None)
        return re.sub(rf"\b{declared}\b", "", text).strip() if declared else text

    def _type(self, node: Any, *, parameter: bool = False) -> CType | None:
        if isinstance(node, c_ast.TypeDecl):
            return self._plain(node.type)
        if isinstance(node, c_ast.PtrDecl):
            return self._pointer(node.type)
        if isinstance(node, c_ast.FuncDecl):
            return pointer_to(None)
        if isinstance(node, c_ast.ArrayDecl):
            if parameter:
                return self._pointer(node.type)
            array: CType = in_memory(self._type(node.type)) * self._count(node.dim)
            return array
        return self._plain(node)

    def _pointer(self, target: Any) -> CType:
        if isinstance(target, c_ast.FuncDecl):
            return pointer_to(None)
        try:
            pointed = self._type(target)
        except ConfigError:  # of a structure that nobody knows an address can be passed
            pointed = None
        return pointer_to(pointed, is_const="const" in getattr(target, "quals", ()))

    def _count(self, dimension: Any) -> int:
        try:
            return int(dimension.value.rstrip("uUlL"), 0)
        except (AttributeError, ValueError):
            raise ConfigError("the size of an array in a prototype must be a number") from None

    def _plain(self, node: Any) -> CType | None:
        if isinstance(node, c_ast.IdentifierType):
            return self._identifier(node.names)
        if isinstance(node, c_ast.Enum):
            return ctypes.c_uint32
        if isinstance(node, c_ast.Struct | c_ast.Union):
            return self._compound(node)
        raise ConfigError(f"a prototype with {type(node).__name__} cannot be read")

    def _identifier(self, words: list[str]) -> CType | None:
        if len(words) == 1 and words[0] in self._names:
            return self._names[words[0]]
        if words == ["void"]:
            return None
        text = " ".join(words)
        if text in _BASIC:
            return _BASIC[text]
        if "double" in words or "_Complex" in words:
            raise ConfigError(f"{text} cannot be passed from Python; call a function of C that takes less")
        signed = "unsigned" not in words
        if "char" in words:
            return INTEGERS[1, signed]
        return INTEGERS[next((size for word, size in _INTEGER_SIZE.items() if word in words), 4), signed]

    def _compound(self, node: Any) -> CType:
        word = "struct" if isinstance(node, c_ast.Struct) else "union"
        base = ctypes.Structure if isinstance(node, c_ast.Struct) else ctypes.Union
        full = f"{word} {node.name}"
        if node.decls is None:
            found = self._tags.get(full) or self._known(full)
            if found is None:
                raise ConfigError(f"nobody knows what {full} is: declare it in front, or build the image with -g")
            return found
        made: CType = type(node.name or "unnamed", (base,), {})
        if node.name:
            self._tags[full] = made
        fields = list[tuple[Any, ...]]()
        for number, each in enumerate(node.decls):
            field = (each.name or f"_{number}", in_memory(self._type(each.type)))
            fields.append((*field, self._count(each.bitsize)) if each.bitsize else field)
        made._fields_ = fields
        return made
