"""Line programs of DWARF, executed: the address, file and line of each row (DWARF 5, section 6.2.5).

pyelftools reads their headers. Its own reading of the programs makes an object of every opcode: a whole Linux takes it
fifteen times as long.
"""

from collections.abc import Iterator

from emu.firmware.leb128 import unsigned

COPY, ADVANCE_PC, ADVANCE_LINE, SET_FILE, _COLUMN, _NEGATE, _BLOCK, CONST_ADD_PC, FIXED_ADVANCE_PC = range(1, 10)
END_SEQUENCE, SET_ADDRESS = 1, 2
END = -1
"""In place of a line: a sequence ends at this address."""


def rows(  # noqa: C901  # a branch for each opcode, as the standard lists them
    program: bytes, *, opcode_base: int, line_base: int, line_range: int, shortest: int, lengths: tuple[int, ...]
) -> Iterator[tuple[int, int, int]]:
    """Address, number of the file and line of each row; for the end of a sequence the line is `END`.

    The numbers come from the program's header: `shortest` is minimum_instruction_length in bytes, `lengths` are the
    standard opcodes' counts of operands. There is one operation an instruction, as on every machine but VLIWs. Raises
    IndexError where the program is cut off, ZeroDivisionError for a `line_range` of 0.

    >>> program = bytes([0, 9, 2, *(0x80200000).to_bytes(8, "little"), 3, 41, 1, 9, 4, 0, 74, 2, 2, 0, 1, 1])
    >>> header = dict(opcode_base=10, line_base=-5, line_range=14, shortest=1, lengths=(0, 1, 1, 1, 1, 0, 0, 0, 1))
    >>> [(hex(address), file, line) for address, file, line in rows(program, **header)]
    [('0x80200000', 1, 42), ('0x80200008', 1, 45), ('0x8020000a', 1, -1)]
    """
    special = [
        ((opcode - opcode_base) // line_range * shortest, line_base + (opcode - opcode_base) % line_range)
        for opcode in range(256)
    ]
    address, file, line = 0, 1, 1
    at, end = 0, len(program)
    while at < end:
        opcode = program[at]
        at += 1
        if opcode >= opcode_base:
            forward, down = special[opcode]
            address += forward
            line += down
            yield address, file, line
        elif opcode == COPY:
            yield address, file, line
        elif opcode == FIXED_ADVANCE_PC:
            address += program[at] | program[at + 1] << 8
            at += 2
        elif opcode == CONST_ADD_PC:
            address += special[255][0]
        elif opcode == 0:
            size, at = unsigned(program, at)
            kind = program[at] if size else 0
            if kind == END_SEQUENCE:
                yield address, file, END
                address, file, line = 0, 1, 1
            elif kind == SET_ADDRESS:
                address = int.from_bytes(program[at + 1 : at + size], "little")
            at += size
        else:
            for _ in range(lengths[opcode - 1]):
                value, after = unsigned(program, at)
                if opcode == ADVANCE_PC:
                    address += value * shortest
                elif opcode == ADVANCE_LINE:
                    line += value - (1 << 7 * (after - at)) if program[after - 1] & 0x40 else value
                elif opcode == SET_FILE:
                    file = value
                at = after
