"""Guest functions are called with the types of C: by debug information, a prototype, or ctypes."""

import ctypes
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ekernel import GuestCrash, Machine, MachineConfig
from emu.errors import ConfigError, LimitExceeded, SymbolError
from emu.firmware.ctype import SignedWide
from emu.isa.privilege import Access


@pytest.fixture(params=["exact", "fast"])
def machine(request, functions):
    made = Machine(MachineConfig(fidelity=request.param, ram_size=16 << 20))
    made.load(functions)
    return made


def fields(structure: Any) -> dict[str, Any]:
    return {name: getattr(structure, name) for name, *_ in structure._fields_}


def test_debug_information_says_the_types_of_arguments_and_results(machine):
    call = machine.function
    assert call("sum")(3, -5) == -2
    assert call("sum")(second=2, first=1) == 3
    assert call("narrow")(-3, 1000) == (1000 - 3) % 256
    assert call("paint")(True) == 7
    assert call("spread")({"low": 5, "high": 31}) == 531
    assert call("total")(11, *range(10), -46) == -1
    assert call("average")(3, 1.5, 2.5, 3.5) == 2.5
    assert fields(call("swap")((1, -2))) == {"x": -2, "y": 1}
    grown = call("grow")({"words": [1, 2, 3], "tag": 255})
    assert (list(grown.words), grown.tag) == ([1, 3, 5, 3, 4], 0)


def test_what_a_pointer_is_given_is_copied_to_guest_memory_and_comes_back(machine):
    sp = machine.free_memory.stop - 4096
    machine.hart.x["sp"] = sp
    before = machine.read_virtual(sp - 1024, 1024)
    numbers, text, point = [1, 2, 3, 4, 5], bytearray(b"abc"), {"x": 1, "y": 2}
    machine.function("reverse")(numbers, 5)
    machine.function("void upper(char *, unsigned)")(text, 2)
    machine.function("move")(point, 5)
    array = (ctypes.c_int32 * 3)(7, 8, 9)
    machine.function("reverse")(array, 3)
    assert (numbers, text, point, list(array)) == ([5, 4, 3, 2, 1], b"ABc", {"x": 6, "y": -3}, [9, 8, 7])
    assert machine.function("length")("héllo") == 6
    assert machine.function("length")(b"four") == 4
    assert machine.function("last")({"value": 9}) == 9
    machine.function("reverse")((1, 2), 2)
    assert machine.hart.x["sp"] == sp
    below = machine.function("reverse")
    below([1, 2], 2)  # its arguments lie right below the stack pointer
    assert machine.read_virtual(sp - 16, 16) == before[-16:]


@given(data=st.data())
@settings(max_examples=15)
def test_integers_of_all_widths_keep_their_values_with_and_without_a_stack(functions, data):
    machine = _machines.setdefault("one", Machine(MachineConfig(fidelity="fast", ram_size=16 << 20)))
    if machine.image is None:
        machine.load(functions)
    machine.hart.x["sp"] = data.draw(st.sampled_from([0, machine.free_memory.stop]))
    name = data.draw(st.sampled_from(list(_WIDTHS)))
    low, high = _WIDTHS[name]
    value = data.draw(st.integers(low, high) | st.sampled_from([low, high]))
    kind = name.replace("_", " ").replace("wide", "__int128")
    assert machine.function(f"{kind} same_{name}({kind})")(value) == value
    assert machine.function(f"long widened_{name}({kind})")(value) == (value + (1 << 63)) % (1 << 64) - (1 << 63)
    for wrong in (low - 1, high + 1):
        with pytest.raises(ValueError, match="does not fit"):
            machine.function(f"{kind} same_{name}({kind})")(wrong)


@given(
    words=st.lists(st.integers(-(1 << 110), 1 << 110), max_size=6),
    numbers=st.lists(st.integers(-999, 999), min_size=10, max_size=10),
)
@settings(max_examples=10)
def test_integers_of_128_bits_travel_in_registers_on_the_stack_and_half_and_half(functions, words, numbers):
    machine = Machine(MachineConfig(fidelity="fast", ram_size=16 << 20))
    machine.load(functions)
    x = sum(words)
    assert machine.function("split")(*numbers[:7], x) == x - numbers[0] + numbers[6]
    assert machine.function("pushed")(*numbers[:9], x, numbers[9]) == x * numbers[9] + numbers[8]
    assert machine.function("added")(len(words), *map(SignedWide, words)) == x
    given = list(words)
    machine.function("negate")(given, len(given))
    assert given == [-word for word in words]
    assert machine.function("added")(0) == 0


def test_what_was_given_as_a_list_of_mappings_comes_back_as_that(machine):
    points = [{"x": 1, "y": 2}, {"x": 3, "y": 4}, (5, 6)]
    first = points[0]
    machine.function("shift")(points, 3)
    assert points[:2] == [{"x": 3, "y": 2}, {"x": 7, "y": 4}]
    assert first is points[0]
    assert fields(points[2]) == {"x": 11, "y": 6}


_machines: dict[str, Machine] = {}
_WIDTHS = {
    f"{sign}_{kind}": (-(1 << bits - 1), (1 << bits - 1) - 1) if sign == "signed" else (0, (1 << bits) - 1)
    for kind, bits in {"char": 8, "short": 16, "int": 32, "long": 64, "wide": 128}.items()
    for sign in ("signed", "unsigned")
}


def test_a_prototype_and_ctypes_say_the_types_of_an_image_without_debug_information(compile_c):
    machine = Machine(MachineConfig(ram_size=16 << 20))
    machine.load(compile_c("struct s {long a; float b;}; float b(struct s v, double k) {return v.b * k + v.a;}"
                           "int neg(unsigned v) {return -v;} void *same(void *p) {return p;}"))  # fmt: skip
    b = machine.function("struct s { long a; float b; }; float b(struct s v, double k)")
    assert b((2, 1.5), 3) == 6.5
    assert machine.function("typedef unsigned word; int neg(word)")(5) == -5
    assert machine.function("neg", ctypes.c_int32, [ctypes.c_uint32])(7) == -7
    assert machine.function("same", ctypes.c_void_p, [ctypes.c_void_p])(0x8020_0000) == 0x8020_0000
    assert machine.function("uint64 same(uint64 address)")(1 << 63) == 1 << 63
    with pytest.raises(ConfigError, match=r"no debug information about neg: build it with -g, or say .* prototype"):
        machine.function("neg")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda f: f("sum")("a", 1),
            r"sum: parameter 1 \(first\) of type int: an integer was expected, not 'a' \(str\)",
        ),
        (lambda f: f("sum")(1), r"sum takes 2 arguments, and 1 were given: sum\(int first, int second\)"),
        (lambda f: f("sum")(1, third=2), "sum has no parameter 'third'"),
        (lambda f: f("sum")(1, first=2), "parameter first is given twice"),
        (lambda f: f("sum")(second=2), "parameter first is missing"),
        (lambda f: f("sum")(1.0, 2), r"\(first\) of type int: an integer was expected, not 1.0 \(float\)"),
        (lambda f: f("sum")(1 << 31, 2), r"\(first\) of type int: 2147483648 does not fit"),
        (lambda f: f("swap")({"z": 1}), r"\(p\) of type struct point: point has no field 'z'; it has x, y"),
        (lambda f: f("swap")((1, "b")), r"\(p\) of type struct point: field y: an integer"),
        (lambda f: f("reverse")([1, None], 2), r"\(v\) of type int \*: element 1: an integer was expected, not None"),
        (lambda f: f("void upper(void *, unsigned)")([1], 1), "a prototype that says what it points to"),
        (lambda f: f("average")(1, object()), r"parameter 2 of type \.\.\.: an integer was expected"),
    ],
)
def test_an_argument_that_does_not_fit_is_named(functions, call, text):
    machine = Machine(MachineConfig(ram_size=16 << 20))
    machine.load(functions)
    with pytest.raises((TypeError, ValueError), match=text):
        call(machine.function)
    assert machine.instret == 0


@pytest.mark.parametrize(
    ("declaration", "text"),
    [
        ("int suum(int)", "no symbol 'suum' in the image; did you mean sum?"),
        ("suum", "did you mean sum?"),
        ("int sum(thing a)", "is no prototype of C that can be read: near 'a' .*declare that type in front"),
        ("int sum(", "is no prototype of C that can be read"),
        ("int sum(struct nothing a)", "nobody knows what struct nothing is"),
        ("int sum; (int)3", "is no prototype"),
        ("wide", "long double .*cannot be passed from Python"),
        ("long double wide(long double)", "cannot be passed from Python"),
    ],
)
def test_a_function_that_cannot_be_declared_says_why(functions, declaration, text):
    machine = Machine(MachineConfig(ram_size=16 << 20))
    machine.load(functions)
    with pytest.raises((ConfigError, SymbolError), match=text):
        machine.function(declaration)


def test_a_crash_tells_access_line_calls_and_last_instructions_and_can_be_followed_by_another_call(machine):
    twice = machine.function("twice")
    assert twice([20]) == 42
    before = machine.hart.x[:], machine.hart.pc, machine.hart.privilege
    with pytest.raises(GuestCrash) as caught:
        twice(0x40)
    crash = caught.value
    assert crash.access is Access.LOAD
    assert crash.trap.tval == 0x40
    assert crash.walk is not None
    assert crash.line.file.endswith("functions.c")
    assert [frame.name.partition("+")[0].split()[0] for frame in crash.stack] == ["dereferenced", "twice"]
    source = Path(crash.line.file).read_text().splitlines()
    assert "return *at + 1" in source[crash.line.line - 1]
    assert crash.instructions[0].name.startswith("twice ")
    assert crash.instructions[-1].text.startswith("jal")
    assert len(crash.instructions) == 3
    assert "`lw a0, 0(a0)` loads 4 bytes from 0x40" in str(crash)
    assert "called by:\n  twice+0x4" in str(crash)
    assert (machine.hart.x[:], machine.hart.pc, machine.hart.privilege) == before
    assert twice([1]) == 4
    with pytest.raises(LimitExceeded, match="forever has not returned after 1,000"):
        machine.function("void forever(void)", max_instructions=1000)()


def test_an_exception_is_left_to_the_kernel_when_it_handles_it(boot):
    machine = boot("""
            la t0, handler
            csrw stvec, t0
        ready: wfi
        .align 2
        handler: csrr t0, sepc
            addi t0, t0, 4
            csrw sepc, t0
            li a0, 77
            sret
        .globl touches
        touches: .option norvc
            ld a0, 0(a0)
            ret
    """)
    machine.run(until="ready")
    assert machine.function("long touches(long)", handled=True)(8) == 77
    with pytest.raises(GuestCrash, match="touches crashed: load access fault at touches"):
        machine.function("long touches(long)")(8)


_SCALARS = {
    "signed char": ctypes.c_int8, "unsigned char": ctypes.c_uint8, "short": ctypes.c_int16,
    "unsigned short": ctypes.c_uint16, "int": ctypes.c_int32, "unsigned": ctypes.c_uint32, "long": ctypes.c_int64,
    "unsigned long": ctypes.c_uint64, "float": ctypes.c_float, "double": ctypes.c_double, "_Bool": ctypes.c_bool,
}  # fmt: skip


_COPY = """
unsigned char seen[8192];
void *memcpy(void *d, const void *s, unsigned long n)
{ unsigned char *a = d; const unsigned char *b = s; while (n--) *a++ = *b++; return d; }
#define copy __builtin_memcpy
"""


def _random_types(chosen: random.Random) -> tuple[str, list[str]]:
    """Structures and unions of up to five fields, some of them arrays or structures."""
    text, names = [], list(_SCALARS) * 2
    for number in range(24):
        word = "union" if number % 6 == 5 else "struct"
        fields = [
            f"{chosen.choice(names)} f{field}{chosen.choice(['', '', '', '[2]', '[3]'])};"
            for field in range(chosen.choice([1, 1, 2, 2, 2, 3, 5]))
        ]
        text.append(f"{word} t{number} {{ {' '.join(fields)} }};")
        names.append(f"{word} t{number}")
    return "\n".join(text), names


def test_arguments_and_results_of_any_types_travel_as_gnus_compiler_has_them(compile_c):
    chosen = random.Random(2)
    types, names = _random_types(chosen)
    parts, prototypes = [types, _COPY], []
    for number in range(60):
        parameters = [chosen.choice(names) for _ in range(chosen.choice([1, 2, 3, 5, 9, 12, 20]))]
        returned = chosen.randrange(len(parameters))
        copies = [f"copy(at, &p{index}, sizeof p{index}); at += sizeof p{index};" for index in range(len(parameters))]
        listed = ", ".join(f"{kind} p{index}" for index, kind in enumerate(parameters))
        prototypes.append((f"{parameters[returned]} call{number}({listed})", returned))
        parts.append(f"{prototypes[-1][0]} {{ unsigned char *at = seen; {' '.join(copies)} return p{returned}; }}")
    machine = Machine(MachineConfig(ram_size=16 << 20))
    machine.load(compile_c("\n".join(parts), "-g", "-O1", "-fno-tree-loop-distribute-patterns"))
    for number, (prototype, returned) in enumerate(prototypes):
        declarations = [f"call{number}", f"{types} {prototype}"]
        for function in map(machine.function, declarations[: 1 + (number % 12 == 0)]):
            values = [_random_value(each.type, chosen) for each in function.signature.parameters]
            result = function(*values)
            at = machine.address_of("seen")
            for value in values:
                size = ctypes.sizeof(value)
                seen = type(value).from_buffer_copy(machine.read_virtual(at, size))
                assert _meant(seen) == _meant(value), prototype
                at += size
            assert _meant(result) == _meant(values[returned]), prototype


def _random_value(kind: Any, chosen: random.Random) -> Any:
    made = kind()
    if issubclass(kind, ctypes.Union):
        made = kind.from_buffer_copy(chosen.randbytes(ctypes.sizeof(kind)))
    elif issubclass(kind, ctypes.Structure):
        for name, part, *_ in kind._fields_:
            setattr(made, name, _random_value(part, chosen))
    elif issubclass(kind, ctypes.Array):
        for index in range(kind._length_):
            made[index] = _random_value(kind._type_, chosen)
    elif issubclass(kind, ctypes.c_float | ctypes.c_double):
        made.value = chosen.randrange(-1000, 1000) / 8
    elif issubclass(kind, ctypes.c_bool):
        made.value = chosen.random() < 0.5
    else:
        made.value = chosen.getrandbits(64)
    return made


def _meant(value: Any) -> Any:
    """What a value means, without its padding."""
    if isinstance(value, ctypes.Union):
        return bytes(value)
    if isinstance(value, ctypes.Structure):
        return {name: _meant(getattr(value, name)) for name, *_ in value._fields_}
    if isinstance(value, ctypes.Array):
        return [_meant(each) for each in value]
    return value.value if isinstance(value, ctypes._SimpleCData) else value


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_floats_and_pairs_are_the_same_where_python_is_not_needed_and_when_the_call_is_lived_again(compile_c, fidelity):
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20))
    machine.load(compile_c("struct p {double x; long y;}; struct p seen; struct q {long a, b;};"
                           "long sum(const char *s, long a, long b, long c, long d, long e, long f, long g, long h)"
                           "{seen.y = s[0] + s[1] + h; return seen.y;}"
                           "struct p pair(long n, double d, float f) {return seen = (struct p){d * f, n};}"
                           "struct q two(long a, long b) {return (struct q){b, a};}"
                           "float half(float f) {return f / 2;} double ten(double a, double b, double c, double d,"
                           "double e, double f, double g, double h, double i, double j) {return i * 100 + j;}",
                           "-g", "-O1"))  # fmt: skip
    hart = machine.hart
    hart.x["sp"], hart.csr["mstatus"] = machine.free_memory.stop, hart.csr["mstatus"] | 1 << 13
    hart.x["gp"] = machine.address_of("__global_pointer$")
    before = hart.x[:], list(hart.f)
    pair, half = machine.function("pair"), machine.function("half")
    assert fields(pair(-3, 1.5, 2.5)) == {"x": 3.75, "y": -3}
    assert half(0.3) == ctypes.c_float(0.3).value / 2
    assert half(float("inf")) == float("inf")
    with pytest.raises(ValueError, match="is too large for the type"):
        half(1e39)
    assert fields(machine.function("two")(1, -2)) == {"a": -2, "b": 1}
    assert machine.function("ten")(*map(float, range(10))) == 809.0
    assert (hart.x[:], list(hart.f)) == before
    moments, total, stack = [], machine.function("sum"), machine.read_virtual(hart.x["sp"] - 64, 64)
    for n in (7, 8):
        pair(n, n * 1.5, 0.5)
        moments.append((machine.history.now, machine.read_virtual("seen", 16)))
        assert total("az", *range(7), n) == ord("a") + ord("z") + n
        with machine.watch("sum", lambda: None):
            assert total(b"bc", *range(7), n) == ord("b") + ord("c") + n
        moments.append((machine.history.now, machine.read_virtual("seen", 16)))
        assert (hart.x[:], machine.read_virtual(hart.x["sp"] - 64, 64)) == (before[0], stack)
    for moment, seen in reversed(moments):
        machine.history.go(moment)
        assert machine.read_virtual("seen", 16) == seen
