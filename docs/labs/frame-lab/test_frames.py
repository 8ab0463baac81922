"""The tests of the lab: each gives points, and says to the student what is wrong."""

import pytest

from ekernel import points

pytestmark = pytest.mark.kernel(until="ready", fidelity="fast", memory="16M")
FIRST, END = 0x80400, 0x80410


@pytest.fixture
def frames(call):
    """The allocator, with the frames FIRST to END (END is the first that is not ours)."""
    call("void frame_init(unsigned long first, unsigned long end)", FIRST, END)

    class Frames:
        def alloc(self):
            return call("long frame_alloc(void)")

        def dealloc(self, ppn):
            return call("int frame_dealloc(unsigned long ppn)", ppn)

        def free(self):
            return call("unsigned long frames_free(void)")

    return Frames()


@points(2)
def test_first(frames):
    """The first frame is the first of the range"""
    frame = frames.alloc()
    assert frame != FIRST << 12, "frame_alloc returned an address; it must return a page number (address >> 12)"
    assert frame == FIRST, (
        f"frame_alloc returned {frame:#x}; the range begins with {FIRST:#x}, which belongs to you, too"
    )


@points(3)
def test_all_different(frames):
    """Every frame of the range is handed out once"""
    seen = []
    for number in range(END - FIRST):
        frame = frames.alloc()
        assert frame not in seen, (
            f"frame {frame:#x} was handed out twice and nobody has freed it: two owners would overwrite each other "
            "(move `current` on, and take a recycled frame off its stack)"
        )
        assert frame > 0, (
            f"frame_alloc gave up after {number} frames; the range has {END - FIRST}: is `end` compared rightly?"
        )
        seen.append(frame)
    assert sorted(seen) == list(range(FIRST, END)), f"these frames are not those of the range: {[hex(f) for f in seen]}"


@points(2)
def test_exhausted(frames):
    """Without a free frame, -1 is returned"""
    for _ in range(END - FIRST):
        frames.alloc()
    frame = frames.alloc()
    assert frame != END, (
        f"frame_alloc handed out {END:#x}, the first frame behind the range: compare before you hand out"
    )
    assert frame == -1, (
        f"with all frames in use frame_alloc returned {frame}; 0 is a page number as any other, -1 is none"
    )


@points(3)
def test_recycled(frames):
    """A freed frame is used again, the last one first"""
    one, other, _ = frames.alloc(), frames.alloc(), frames.alloc()
    assert frames.dealloc(one) == 0, "frame_dealloc refused a frame that frame_alloc had handed out"
    assert frames.dealloc(other) == 0, "frame_dealloc refused a frame that frame_alloc had handed out"
    got = frames.alloc()
    assert got in (one, other), (
        "a freed frame must be handed out before one that was never used: memory runs out otherwise"
    )
    assert got == other, "the recycled frames are a stack: the one that was freed last is handed out first"
    assert frames.alloc() == one, "after the frame that was freed last comes the one that was freed before it"


@points(2)
def test_freed_twice(frames):
    """A frame that is free already is refused"""
    frame = frames.alloc()
    frames.dealloc(frame)
    assert frames.dealloc(frame) == -1, (
        "frame_dealloc took the same frame twice: two later allocations would get it, and share it without knowing. "
        "Look through the recycled frames first"
    )


@points(2)
def test_never_held(frames):
    """A frame that was never handed out is refused"""
    frames.alloc()
    for ppn in (FIRST - 1, END - 1, END):
        assert frames.dealloc(ppn) == -1, (
            f"frame_dealloc took {ppn:#x}, which frame_alloc has never handed out: check it against `current` and the range"
        )


@points(1)
def test_count(frames):
    """frames_free counts new and recycled frames"""
    frame = frames.alloc()
    frames.alloc()
    frames.dealloc(frame)
    assert frames.free() == END - FIRST - 1, "frames_free must count the recycled frames and those that were never used"


@points(1)
def test_init_again(frames, call):
    """frame_init begins anew"""
    frames.dealloc(frames.alloc())
    call("void frame_init(unsigned long first, unsigned long end)", 0x90000, 0x90001)
    assert frames.alloc() == 0x90000, "after frame_init the allocator still hands out frames of the range before"
    assert frames.alloc() == -1, "after frame_init the range has one frame, and a second one came"


@points(1)
@pytest.mark.budget(instructions=20_000)
def test_cost(frames):
    """An allocation costs little, whatever was done before"""
    for _ in range(END - FIRST):
        assert frames.alloc() > 0, "frame_alloc gave up before all frames were handed out"
