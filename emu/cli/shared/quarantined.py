"""What a recording says of `--quarantine`, by which the host answers the guest: without it the run would be another."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from emu.cli.shared.allocations import AllocationRequest, Allocations
from emu.errors import ConfigError, EmuError, RecordingError
from emu.machine import Machine

_KEY = "quarantine"


def quarantine_said(request: AllocationRequest, size: int) -> dict[str, object]:
    """What has to be known of a run that holds `size` bytes of freed memory back; nothing of one that holds none.

    >>> quarantine_said(AllocationRequest(heap_functions="take,give"), 4096)["quarantine"]
    {'bytes': 4096, 'frames': None, 'heap': 'take,give', 'allocators': []}
    """
    if not size:
        return {}
    texts = [path.read_text(encoding="utf-8") for path in request.descriptions]
    named = {"frames": request.frame_functions, "heap": request.heap_functions, "allocators": texts}
    return {_KEY: {"bytes": size, **named}}


def hold_back_again(machine: Machine, said: Mapping[str, Any]) -> None:
    """Hold back what a recorded run held back, on a machine before its first instruction.

    Raises RecordingError for what no recorder has written.
    """
    if _KEY not in said:
        return
    from tempfile import TemporaryDirectory  # a slow import that a recording of a usual run does not need

    from emu.observe.sanitizer.address import AddressSanitizer

    try:
        found = said[_KEY]
        size = found["bytes"]
        texts = [found["frames"], found["heap"], *found["allocators"]]
        if not isinstance(size, int) or size < 0 or not all(isinstance(text, str | None) for text in texts):
            raise ConfigError("quarantine")
        with TemporaryDirectory() as folder:
            files = [Path(folder, f"{number}.toml") for number in range(len(texts) - 2)]
            for file, text in zip(files, texts[2:], strict=True):
                file.write_text(cast("str", text), encoding="utf-8")
            request = AllocationRequest(
                frame_functions=texts[0], heap_functions=texts[1], descriptions=tuple(files), asked=True
            )
            allocations = Allocations(machine, request, summed_up=False)
        AddressSanitizer(machine, allocations.frames.allocators, allocations.heap.allocators, quarantine=size)
    except (KeyError, TypeError, EmuError) as error:
        raise RecordingError(f"the recording cannot be replayed: it is damaged ({error})") from None
