"""Students' images are graded by a teacher's tests: with points, messages that teach, and limits that hold."""

import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from linker import link
from linker.assembler import assemble

ROOT = Path(__file__).parents[3]
LAB = ROOT / "docs" / "labs" / "frame-lab"
EKERNEL = str(Path(sys.executable).parent / "ekernel")
COMMAND = (
    "-g -O1 -march=rv64gc -mabi=lp64d -mcmodel=medany -ffreestanding -nostdlib "
    "-Wl,-Ttext=0x80200000 -Wl,--build-id=none"
)

MISTAKES = {
    "ADDRESS_FOR_NUMBER": "must return a page number",
    "BEGINS_WITH_THE_SECOND": "the range begins with 0x80400, which belongs to you, too",
    "ONE_TOO_MANY": "handed out 0x80410, the first frame behind the range",
    "ONE_TOO_FEW": "gave up after 15 frames; the range has 16",
    "ZERO_FOR_NONE": "returned 0; 0 is a page number as any other, -1 is none",
    "FORGETS_TO_ADVANCE": "was handed out twice and nobody has freed it",
    "DOES_NOT_POP": "after the frame that was freed last comes the one that was freed before it",
    "NEVER_RECYCLES": "must be handed out before one that was never used",
    "QUEUE_FOR_STACK": "the recycled frames are a stack",
    "FREES_TWICE": "took the same frame twice",
    "TAKES_ANYTHING": "which frame_alloc has never handed out",
    "COUNTS_NEW_ONES_ONLY": "must count the recycled frames",
    "KEEPS_OLD_FRAMES": "still hands out frames of the range before",
    "WAITS_FOR_A_FRAME": "the guest has executed 1,000,000 instructions, which is all that it may in one test",
    "POINTER_FOR_NUMBER": "frame_alloc crashed: load access fault at frame_alloc",
}


def grade(folder, *words, timeout=100):
    return subprocess.run(
        [EKERNEL, "grade", *map(str, words)], cwd=folder, capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.mark.slow
def test_the_labs_solution_gets_all_points_and_each_mistake_a_message_that_teaches(oracle, tmp_path):
    compiler = oracle("riscv64-unknown-elf-gcc")
    kernels = {"solution": [LAB / "solution.c"]} | {name: [f"-D{name}", LAB / "mistakes.c"] for name in MISTAKES}
    running = [
        subprocess.Popen([compiler, *COMMAND.split(), "-o", tmp_path / f"{name}.elf", LAB / "start.S", *words])
        for name, words in kernels.items()
    ]
    assert not any(process.wait() for process in running)
    result = grade(
        tmp_path, LAB / "test_frames.py", *(f"{name}.elf" for name in kernels), "--max-instructions", 1_000_000,
        "--json", "class.json", "--html", "class.html", "--junit", "class.xml",
    )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr == ""
    grades = {
        each["kernel"].removesuffix(".elf"): each
        for each in json.loads((tmp_path / "class.json").read_text())["grades"]
    }
    assert list(grades) == list(kernels)
    assert grades["solution"]["score"] == grades["solution"]["points"] == 17
    for name, text in MISTAKES.items():
        failed = [test for test in grades[name]["tests"] if not test["passed"]]
        assert any(text in test["message"] for test in failed), (name, failed)
    assert re.search(r"^solution.elf\n(== Test .*OK.*\n){9}Score: 17/17$", result.stdout, re.MULTILINE)
    assert re.search(r"^FREES_TWICE.elf\n(?:.*\n)*?Score: 15/17$", result.stdout, re.MULTILINE)
    page = (tmp_path / "class.html").read_text()
    assert page.count("<tr>") == 1 + len(kernels)
    assert "took the same frame twice" in page
    suites = ET.parse(tmp_path / "class.xml").getroot()  # noqa: S314  # we have written it
    assert next(suite.get("failures") for suite in suites) == "0"
    assert all(suite.get("tests") == "9" for suite in suites)


_SEEN = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}
_FORM = {"enum": ["text", "html", "simple_format", "md", "ansi"]}
GRADESCOPE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["tests"],
    "properties": {
        "score": {"type": "number"}, "execution_time": {"type": "number"}, "output": {"type": "string"},
        "output_format": _FORM, "test_output_format": _FORM, "test_name_format": _FORM, "visibility": _SEEN,
        "stdout_visibility": _SEEN, "extra_data": {"type": "object"}, "leaderboard": {"type": "array"},
        "tests": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "score": {"type": "number"}, "max_score": {"type": "number"},
                    "status": {"enum": ["passed", "failed"]}, "name": {"type": "string"}, "name_format": _FORM,
                    "number": {"type": "string"}, "output": {"type": "string"}, "output_format": _FORM,
                    "tags": {"type": "array", "items": {"type": "string"}}, "visibility": _SEEN,
                    "extra_data": {"type": "object"},
                },
            },
        },
    },
}  # fmt: skip
"""What Gradescope's page "Autograder Specifications" says of results.json."""

TESTS = """
import pytest
from ekernel import points

pytestmark = pytest.mark.kernel(until="ready", memory="16M")

@points(2.5)
def test_answer(machine, call):
    "It answers"
    assert call("long answer(void)") == 42, "<b>42</b> & nothing else"

def test_other(machine):
    machine.run(1)

@points(0)
def test_words(machine, console):
    machine.hart.pc = machine.address_of("answer")
    console.expect("peace", instructions=5000)
"""
HOSTILE = {
    "fine": "answer: li a0, 42\nret",
    "prints": "answer: li a0, 'x'\nli a7, 1\necall\nj answer",
    "loops": "answer: j answer",
    "traps": "answer: la t0, 1f\ncsrw stvec, t0\n.align 2\n1: ebreak\nj 1b",
    "resets": "answer: li a7, 0x53525354\nli a6, 0\nli a0, 1\nli a1, 0\necall",
    "files": """answer: la a1, block
        li a0, 1
        .option norvc
        slli zero, zero, 0x1f
        ebreak
        srai zero, zero, 7
        li a0, 42
        ret
        .data
        block: .dword name, 4, LENGTH
        name: .asciz "STOLEN" """,
    "htif": """answer: la t0, tohost
        la t1, block
        sd t1, 0(t0)
        la t0, fromhost
        li t2, 100
        1: ld a0, 0(t0)
        bnez a0, 2f
        addi t2, t2, -1
        bnez t2, 1b
        2: ld a0, 0(t1)
        ret
        .data
        .balign 64
        block: .dword 56, -100, name, LENGTH + 1, 0x241, 0x1b6, 0, 0    # openat, O_CREAT
        name: .asciz "STOLEN"
        .balign 64
        .globl tohost, fromhost
        tohost: .dword 0
        .balign 64
        fromhost: .dword 0 """,
    "disks": "answer: li t0, 0x10001000\nli a0, 0\nli t1, 8\n1: lw t2, 8(t0)\nor a0, a0, t2\nli t2, 1\n"
    "sw t2, 0x50(t0)\n"
    "lui t2, 1\nadd t0, t0, t2\naddi t1, t1, -1\nbnez t1, 1b\nret",
    "escapes": """answer: la t3, text
        li a7, 1
        1: lbu a0, 0(t3)
        addi t3, t3, 1
        ecall
        lbu a0, 0(t3)
        bnez a0, 1b
        2: j 2b
        .data
        text: .asciz "\\033[2J\\rScore: 99/99\\n\\033[1A</pre><script>" """,
    "devices": "answer: li t0, 0x10000000\nli t1, 1 << 20\n1: addi t0, t0, 4\nlw t2, 0(t0)\naddi t1, t1, -1\n"
    "bnez t1, 1b\nret",
    "destroys": "answer: li t0, 0x80000000\nli t1, 0x81000000\n1: sd zero, 0(t0)\naddi t0, t0, 8\nbltu t0, t1, 1b\nret",
}


def _image(source: str) -> bytes:
    text = f"""
        .globl _start
        _start: la sp, top
        call ready
        1: j 1b
        .globl ready
        .type ready, @function
        ready: ret
        .globl answer
        .type answer, @function
        {source}
        .bss
        .space 4096
        top:"""
    script = "ENTRY(_start) SECTIONS { . = 0x80200000; .text : { *(.text) } .data : { *(.data) } .bss : { *(.bss) } }"
    return link([assemble(text, name="student.S")], script=script).elf


def _headers(image: bytes) -> dict[str, bytes]:
    """Images that promise more than they have, or more than a machine has."""

    def changed(*changes: tuple[int, str, int]) -> bytes:
        made = bytearray(image)
        for offset, form, value in changes:
            struct.pack_into(form, made, offset, value)
        return bytes(made)

    first, count = struct.unpack_from("<Q", image, 32)[0], struct.unpack_from("<H", image, 56)[0]
    loads = [at for at in range(first, first + 56 * count, 56) if struct.unpack_from("<I", image, at)[0] == 1]
    return {
        "in memory": changed(*((at + 40, "<Q", 1 << 60) for at in loads)),
        "in the file": changed(*((at + 8 * field, "<Q", 1 << 60) for at in loads for field in (4, 5))),
        "segments": changed((56, "<H", 0xFFFF)),
        "sections": changed((60, "<H", 0xFFFF)),
        "far": changed((40, "<Q", 1 << 62)),
    }


@pytest.mark.slow
def test_a_hostile_image_reaches_neither_the_host_nor_the_others(tmp_path):
    (tmp_path / "test_lab.py").write_text(TESTS)
    stolen = str(tmp_path / "stolen")
    for name, source in HOSTILE.items():
        image = _image(source.replace("STOLEN", stolen).replace("LENGTH", str(len(stolen))))
        (tmp_path / f"{name}.elf").write_bytes(image)
    no_kernels = {"empty": b"", "text": b"no kernel at all", **_headers((tmp_path / "fine.elf").read_bytes())}
    for name, image in no_kernels.items():
        (tmp_path / f"{name}.elf").write_bytes(image)
    names = [*HOSTILE, *no_kernels]
    before = sorted(tmp_path.iterdir())
    result = grade(
        tmp_path, "test_lab.py", *(f"{name}.elf" for name in names), "--max-instructions", 200_000, "--max-console",
        1000, "--json", "class.json", "--html", "class.html",
    )  # fmt: skip
    assert result.stderr == ""
    grades = {each["kernel"]: each for each in json.loads((tmp_path / "class.json").read_text())["grades"]}
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "class.html", tmp_path / "class.json"])
    told = {name: grades[f"{name}.elf"]["tests"][0]["message"] for name in names}
    assert grades["fine.elf"]["score"] == 3.5
    assert "has written 1,001 bytes to its console, and 1,000 are all" in told["prints"]
    assert "has executed 200,000 instructions" in told["loops"]
    assert "breakpoint" in told["traps"]
    assert "did not return" in told["resets"]
    assert "breakpoint" in told["files"]  # the host does not answer
    assert "crashed" in told["devices"]
    assert not any(message.startswith("emu.") for message in told.values()), "a student knows no modules of ours"
    assert told["destroys"]
    assert "is empty" in told["empty"]
    assert "is a text file" in told["text"]
    assert all(grades[f"{name}.elf"]["score"] == 0 and told[name] for name in no_kernels), told
    assert "assert 0 == 42" in told["disks"], "there are none"
    assert "the console ends with:\n    \\x1b[2J\\rScore: 99/99\n    \\x1b[1A</pre><script>" in result.stdout
    assert "\x1b" not in result.stdout
    assert "<script>" not in (tmp_path / "class.html").read_text()
    for name in HOSTILE.keys() - {"fine"}:
        assert grades[f"{name}.elf"]["score"] == 1, name  # the other test has not noticed
    again = grade(
        tmp_path, "test_lab.py", "loops.elf", "--max-instructions", 200_000, "--max-console", 1000,
        "--json", "again.json",
    )  # fmt: skip
    assert again.returncode == 1
    for each in json.loads((tmp_path / "again.json").read_text())["grades"]:
        assert [test["message"] for test in each["tests"]] == [
            test["message"] for test in grades[each["kernel"]]["tests"]
        ]  # the limit is reached at the same instruction


@pytest.mark.slow
def test_a_test_that_takes_the_hosts_time_is_ended_with_all_that_it_started(tmp_path):
    (tmp_path / "test_lab.py").write_text("""
import subprocess, sys, time

def test_quick():
    pass

def test_slow(machine):
    subprocess.Popen([sys.executable, "-c", "import time; open('started', 'w').write(str(1)); time.sleep(600)"])
    time.sleep(600)

def test_never():
    pass
""")
    (tmp_path / "fine.elf").write_bytes(_image(HOSTILE["fine"]))
    result = grade(tmp_path, "test_lab.py", "fine.elf", "--timeout", 8, "--gradescope", "results.json", "-q")
    assert (result.returncode, result.stdout) == (1, "Score: 1/3\n")
    made = json.loads((tmp_path / "results.json").read_text())
    jsonschema.validate(made, GRADESCOPE)
    assert made["score"] == 1
    assert made["output"] == "the time was up after 8 s"
    assert [(test["score"], test["max_score"], test["status"]) for test in made["tests"]] == [
        (1, 1, "passed"), (0, 1, "failed"), (0, 1, "failed")
    ]  # fmt: skip
    assert made["tests"][2]["output"] == "not judged: the time was up after 8 s"


@pytest.mark.slow
def test_mistakes_of_a_teacher_are_answered_by_sentences(tmp_path):
    (tmp_path / "fine.elf").write_bytes(_image(HOSTILE["fine"]))
    (tmp_path / "test_lab.py").write_text("def test_lab(:\n")
    for words, text in (
        (["nothing.py", "fine.elf"], "tests nothing.py: there is no such file"),
        (["test_lab.py", "missing.elf"], "kernel missing.elf: there is no such file"),
        (["test_lab.py", "fine.elf", "fine.elf", "--gradescope", "r.json"], "results of one submission, and 2 kernels"),
        (["test_lab.py"], "KERNEL"),
    ):
        result = grade(tmp_path, *words)
        assert result.returncode == 125, result.stdout
        assert text in result.stderr
        assert "Traceback" not in result.stderr
    result = grade(tmp_path, "test_lab.py", "fine.elf")
    assert result.returncode == 1
    assert "SyntaxError" in result.stdout
    assert result.stdout.endswith("Score: 0/0\n")
