"""A campaign: inputs from a corpus are changed and executed, and those that lead to where none did before are added."""

import hashlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from emu.errors import ConfigError
from emu.testing.fuzzing.constants import constants
from emu.testing.fuzzing.failures import keep
from emu.testing.fuzzing.mutations import Mutator, hints, tokens
from emu.testing.fuzzing.target import Failure, Target
from linker.commands.files import write_whole

_MOST_INPUTS, _MOST_FAILURES, _MOST_WAITING = 10_000, 100, 1 << 14
_LOOK = 64
"""Executions between two looks at the time and at what the host wants."""
_FIRST = (b"", bytes(16), b"0123456789abcdef")
"""Inputs to begin with where the corpus is empty."""


@dataclass
class Found:
    """One kind of failure."""

    path: Path
    report: str
    number: int = 1
    """How often it was met; making its input smaller does not count."""
    minimised: int = 0
    """Executions that making its input smaller took."""


@dataclass
class Summary:
    """What a campaign has come to."""

    executions: int = 0
    seconds: float = 0.0
    inputs: int = 0
    """In the corpus."""
    ways: int = 0
    """From a block to a block, that were taken."""
    failures: dict[tuple[object, ...], Found] = field(default_factory=dict)
    left_out: int = 0
    """Failures of further kinds than those that are kept."""


class Campaign:
    """Fuzzes one target; deterministic: the same corpus, seed and number of executions find the same."""

    def __init__(
        self, target: Target, corpus: Path, crashes: Path, replay: Callable[[Path], str], *, seed: int = 1,
        minimise: bool = True,
    ) -> None:  # fmt: skip
        """`corpus` holds inputs, and gets those that are found; `crashes` gets those that fail, with their reports.

        `replay` says what executes an input in a file again. Raises ConfigError for folders that cannot be used.
        """
        self._target, self._corpus, self._crashes, self._replay = target, corpus, crashes, replay
        self._mutator = Mutator(seed, target.longest)
        self._minimise = minimise
        self._inputs: list[bytes] = []
        self._waiting: deque[bytes] = deque()
        self.summary = Summary()
        self._seeds = self._read()

    def _read(self) -> list[bytes]:
        try:
            self._corpus.mkdir(parents=True, exist_ok=True)
            files = sorted(path for path in self._corpus.iterdir() if path.is_file() and not path.name.startswith("."))
            return [path.read_bytes()[: self._target.longest] for path in files] or list(_FIRST)
        except OSError as error:
            raise ConfigError(f"--corpus {self._corpus}: {error.strerror}") from None

    def run(
        self, *, executions: int | None = None, seconds: float | None = None,
        ends: Callable[[], bool] = lambda: False, tell: Callable[[Summary], None] = lambda _summary: None,
        stop_at_failure: bool = False,
    ) -> Summary:  # fmt: skip
        """Execute until so many executions were made, so many seconds have passed, or `ends` says so; both in turn.

        `tell` is called now and then. Each input and each failure is in its file as soon as it is known.
        """
        summary, target = self.summary, self._target
        start, before = time.monotonic(), summary.seconds
        most = float("inf") if executions is None else summary.executions + executions
        until = float("inf") if seconds is None else start + seconds
        seeds, self._seeds = deque(self._seeds), []
        while summary.executions < most:
            if not summary.executions % _LOOK:
                summary.seconds = before + time.monotonic() - start
                tell(summary)
                if ends() or time.monotonic() >= until:
                    break
            is_seed = bool(seeds)
            data = seeds.popleft() if seeds else self._next()
            failure = target.run(data)
            summary.executions += 1
            if failure is not None:
                self._failed(failure, data)
                if stop_at_failure:
                    break
            elif target.ways.news:
                self._add(data, is_known=is_seed)
        summary.seconds = before + time.monotonic() - start
        summary.ways = target.ways.total
        self._seeds = list(seeds)
        return summary

    def _next(self) -> bytes:
        if self._waiting:
            return self._waiting.popleft()
        inputs, mutator = self._inputs, self._mutator
        if not inputs:
            return mutator.changed(b"", (b"",))
        low, high = mutator.below(len(inputs)), mutator.below(len(inputs))
        return mutator.changed(inputs[max(low, high)], inputs)

    def _add(self, data: bytes, *, is_known: bool) -> None:
        """An input that has led to something new."""
        target, ways = self._target, self._target.ways
        if len(self._inputs) >= _MOST_INPUTS:
            return
        self._inputs.append(data)
        self.summary.inputs = len(self._inputs)
        if not is_known:
            self._write(self._corpus / hashlib.sha256(data).hexdigest()[:16], data)
        blocks, compared = ways.blocks(), ways.compared()
        target.noted(blocks)
        self._mutator.learn(tokens(compared))
        self._mutator.learn(constants(target.machine, sorted(blocks)))
        room = _MOST_WAITING - len(self._waiting)
        self._waiting.extend(each for each, _ in zip(hints(data, compared), range(room), strict=False))

    def _failed(self, failure: Failure, data: bytes) -> None:
        failures = self.summary.failures
        found = failures.get(failure.key)
        if found is not None:
            found.number += 1
        elif len(failures) >= _MOST_FAILURES:
            self.summary.left_out += 1
        else:
            try:
                path, report, count = keep(
                    self._target, data, failure, self._crashes, self._replay, smaller=self._minimise
                )
            except OSError as error:
                raise ConfigError(f"{self._crashes}: {error.strerror}") from None
            failures[failure.key] = Found(path, report, minimised=count)

    def _write(self, path: Path, data: bytes) -> None:
        try:
            write_whole(path, data)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
