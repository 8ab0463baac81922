"""The part of a recording by which the run is lived again: the machine, what was loaded, what came from outside.

Sections: `replay`, one JSON object (the configuration, where the pieces of `replay.memory` lie, the hart's entry, the
disks that `replay.disks` holds, or an `obstacle`); `replay.inputs`, one JSON object a line (`at`, `inside`, `what`; or
`cut`, how many of those before count); `replay.end`, the moment at which the recording was closed.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from typing import Any

from emu.address import PhysAddr
from emu.counted import counted
from emu.errors import ConfigError, EmuError, RecordingError
from emu.firmware.image import Image
from emu.firmware.names import SymbolFile
from emu.isa.privilege import Privilege
from emu.machine import Machine, MachineConfig
from emu.machine.boot import BootPlan
from emu.machine.config import BUILT_IN, NO_FIRMWARE, Drive
from emu.machine.history.inputs import Input
from emu.machine.history.moment import Moment
from emu.memory.ram import LARGEST
from emu.mmu import AdUpdate
from emu.record.container import Reader
from emu.record.disks import disks_again, obstacle_of_disks, write_disks
from emu.record.formats import REPLAY as ABOUT
from emu.record.plaindata import plain_data
from emu.record.recorder import Recorder
from emu.record.recording import Recording

MEMORY, INPUTS, END = "replay.memory", "replay.inputs", "replay.end"
_ELSEWHERE = ("device_tree", "drives", "semihosting", "firmware", "probes")
"""Fields of a configuration that name files of the host, or mean the host: they are not in a recording."""
_MOST = 1 << 20
_MOST_INPUTS = 1 << 26


class ReplaySections:
    """Writes the sections into a recording of a machine, until `close`, which comes before the recorder's."""

    def __init__(self, machine: Machine, recorder: Recorder, host: Mapping[str, object] | None = None) -> None:
        """Of a machine whose whole history is known; else the recording says what is missing.

        `host` is what else the host did to the guest, as data: whoever lives the run again has to do it again.
        """
        self._machine, self._recorder = machine, recorder
        self._inputs = machine.platform.inputs
        obstacle = obstacle_of(machine)
        plan = machine.history.plan
        self._is_open = obstacle is None and plan is not None
        if plan is None or obstacle is not None:
            recorder.section(ABOUT, json.dumps({"obstacle": obstacle or "nothing was loaded"}).encode())
            return
        drives = write_disks(machine.config.drives, recorder.section)
        about = {"config": _config(machine.config), "plan": _plan(plan), "host": dict(host or {}), "drives": drives}
        recorder.section(ABOUT, json.dumps(about).encode())
        for _, data in plan.pieces:
            recorder.section(MEMORY, data)
        for entry in self._inputs.entries:
            self._write(entry)
        self._inputs.on_note, self._inputs.on_forget = self._write, self._forgotten

    def close(self) -> None:
        """Say when the run ended."""
        if self._is_open:
            self._is_open = False
            self._inputs.on_note, self._inputs.on_forget = None, None
            self._recorder.section(END, json.dumps(list(self._machine.history.end)).encode())

    def _write(self, entry: Input) -> None:
        what = [{"bytes": part.hex()} if isinstance(part, bytes) else part for part in entry.what]
        line = {"at": list(entry.moment), "inside": entry.is_inside, "what": what}
        self._recorder.section(INPUTS, json.dumps(line).encode() + b"\n")

    def _forgotten(self, position: int) -> None:
        self._recorder.section(INPUTS, json.dumps({"cut": position}).encode() + b"\n")


def replayed(recording: Recording) -> tuple[Machine, Moment]:
    """A machine at the beginning of a recorded run, whose future is known; and the run's end.

    Raises RecordingError for a recording that cannot be lived again, and says why.
    """
    reader = recording.container
    about = _json(reader, ABOUT)
    if not about or not isinstance(about, dict):
        raise RecordingError(f"{recording.path} cannot be replayed: {recording.obstacle}")
    if "obstacle" in about:
        raise RecordingError(f"{recording.path} cannot be replayed: {about['obstacle']}")
    try:
        end = _json(reader, END)
        last = Moment(*map(int, end)) if end else Moment(recording.extent()[1], -1)
        entries = _read_inputs(reader)
        with disks_again(reader, about.get("drives", [])) as drives:
            config = _read_config(about["config"], drives)
            plan = _read_plan(reader, about["plan"], config)
            machine = Machine(config)
    except (KeyError, TypeError, ValueError, AttributeError, EmuError) as error:
        raise RecordingError(f"{recording.path} cannot be replayed: it is damaged ({error})") from None
    for name, data in recording.names.files:
        if name:
            machine.platform.names.add(SymbolFile(data, name))
    machine.history.foresee(plan, entries, last)
    return machine, last


def host_of(recording: Recording) -> Mapping[str, Any]:
    """What else the host did to the guest of a recorded run; see `ReplaySections`."""
    about = _json(recording.container, ABOUT)
    host = about.get("host", {}) if isinstance(about, dict) else {}
    return host if isinstance(host, dict) else {}


def obstacle_of(machine: Machine) -> str | None:
    """Why the run of a machine cannot be lived again from a file; None when it can."""
    config = machine.config
    if (reason := obstacle_of_disks(config.drives)) is not None:
        return reason
    if machine.instret and not all(drive.snapshot or drive.read_only for drive in config.drives):
        return "the guest may have written to its disks before"
    if config.semihosting is not None:
        return "the guest could ask the host (semihosting)"
    try:
        begin = machine.history.begin
    except ConfigError as error:
        return str(error)
    return None if begin == Moment(0, 0) else "its history does not begin at power-on"


def _config(config: MachineConfig) -> dict[str, object]:
    values: dict[str, object] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name not in _ELSEWHERE:
            values[field.name] = value.value if isinstance(value, Enum) else value
    return {**values, "firmware": BUILT_IN if config.firmware == BUILT_IN else NO_FIRMWARE}


def _read_config(values: Mapping[str, Any], drives: tuple[Drive, ...]) -> MachineConfig:
    known = {field.name for field in fields(MachineConfig)} - set(_ELSEWHERE)
    chosen = {name: value for name, value in values.items() if name in known}
    chosen["ad_update"] = AdUpdate(chosen["ad_update"])
    firmware = BUILT_IN if values["firmware"] == BUILT_IN else NO_FIRMWARE
    return MachineConfig(**chosen, firmware=firmware, drives=drives)


def _plan(plan: BootPlan) -> dict[str, object]:
    return {
        "pieces": [[address, len(data)] for address, data in plan.pieces],
        "entry": int(plan.entry), "mode": int(plan.mode), "tree": plan.tree_address, "information": plan.information,
        "name": plan.image.name, "command_line": plan.command_line,
        "zeroed": [list(part) for part in plan.zeroed], "free": list(plan.free),
    }  # fmt: skip


def _read_plan(reader: Reader, about: Mapping[str, Any], config: MachineConfig) -> BootPlan:
    memory = memoryview(reader.whole(MEMORY, most=min(config.ram_size, LARGEST)))
    pieces, at = [], 0
    for address, size in about["pieces"]:
        pieces.append((int(address), bytes(memory[at : at + int(size)])))
        at += int(size)
    if at != len(memory):
        raise ValueError(f"{counted(len(memory), 'byte')} of memory instead of {at}")
    entry = PhysAddr(int(about["entry"]))
    start, end = map(int, about["free"])
    return BootPlan(
        image=Image.raw(b"\0", str(about["name"]), int(entry)), pieces=tuple(pieces),
        zeroed=tuple((int(first), int(last)) for first, last in about["zeroed"]), entry=entry,
        mode=Privilege(about["mode"]), tree=b"", tree_address=int(about["tree"]),
        information=int(about["information"]), free=(start, end), command_line=str(about["command_line"]),
    )  # fmt: skip


def _read_inputs(reader: Reader) -> list[Input]:
    entries: list[Input] = []
    for line in reader.whole(INPUTS, most=_MOST_INPUTS).splitlines():
        found = plain_data(line)
        if "cut" in found:
            del entries[int(found["cut"]) :]
            continue
        instret, traps = found["at"]
        what = tuple(_read_part(part) for part in found["what"])
        entries.append(Input(Moment(int(instret), int(traps)), bool(found["inside"]), what))
    return entries


def _read_part(part: Any) -> object:
    if isinstance(part, dict):
        return bytes.fromhex(part["bytes"])
    return tuple(part) if isinstance(part, list) else part


def _json(reader: Reader, section: str) -> Any:
    try:
        return plain_data(reader.whole(section, most=_MOST) or b"null")
    except ValueError:
        raise RecordingError(f"section '{section}' of the recording is damaged") from None
