"""A campaign: inputs from a corpus are changed and executed, and those that lead to where none did before are added."""

import sys
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from emu.testing.fuzzing.failures import minimised, report
from emu.testing.fuzzing.keeping import Crash, Keeper
from emu.testing.fuzzing.mutations import Mutator, hints, tokens
from emu.testing.fuzzing.target import Failure, Target

_MOST_INPUTS, _MOST_FAILURES, _MOST_WAITING = 10_000, 100, 1 << 14
_LOOK = 64
"""Executions between two looks at the time and at what the host wants."""


@dataclass
class Found:
    """One kind of failure."""

    path: str = ""
    report: str = ""
    number: int = 0
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
    edges: int = 0
    """From a block to a block, that were taken."""
    failures: dict[Hashable, Found] = field(default_factory=dict)
    left_out: int = 0
    """Failures of further kinds than those that are kept."""


class Campaign:
    """Fuzzes one target; deterministic: the same corpus, seed and number of executions find the same."""

    def __init__(
        self, target: Target, seeds: Iterable[bytes], keeper: Keeper, *, seed: int = 1, minimise: bool = True,
        known: Iterable[Hashable] = (), waiting: Iterable[bytes] | None = None,
    ) -> None:  # fmt: skip
        """`seeds` are executed first, and `keeper` gets what is found; failures of kinds in `known` are counted only.

        `waiting` goes on with a campaign whose inputs the seeds are: what it had yet to try, but for what chance makes.
        """
        self._target, self._keeper = target, keeper
        self._mutator = Mutator(seed, target.longest)
        self._minimise = minimise
        self._inputs: list[bytes] = []
        self._waiting: deque[bytes] = deque(waiting or ())
        self._made: deque[bytes] = deque()
        """What is executed next."""
        self._leads_on = waiting is None
        self.summary = Summary(failures={key: Found() for key in known})
        self._seeds = list(seeds)

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
        most = sys.maxsize if executions is None else summary.executions + executions
        until = float("inf") if seconds is None else start + seconds
        seeds, self._seeds = deque(self._seeds), []
        look = summary.executions
        while summary.executions < most:
            if summary.executions >= look:
                look = summary.executions + _LOOK
                summary.seconds = before + time.monotonic() - start
                tell(summary)
                if ends() or time.monotonic() >= until:
                    break
            is_seed = bool(seeds)
            made = seeds if is_seed else self._made or self._make()
            number, failure = target.run_all(list(islice(made, min(_LOOK, most - summary.executions))))
            summary.executions += number
            data = [made.popleft() for _ in range(number)][-1]
            if failure is not None:
                self._failed(failure, data)
                if stop_at_failure:
                    break
            elif target.edges.news:
                self._add(data, is_known=is_seed)
        summary.seconds = before + time.monotonic() - start
        summary.edges = target.edges.total
        self._seeds = list(seeds)
        return summary

    def _make(self) -> deque[bytes]:
        """The next inputs: those that wait, or some made by chance."""
        waiting = self._waiting
        count = min(_LOOK, len(waiting))
        made = [waiting.popleft() for _ in range(count)] if count else [self._changed() for _ in range(_LOOK)]
        self._made.extend(made)
        return self._made

    def _changed(self) -> bytes:
        inputs, mutator = self._inputs, self._mutator
        if not inputs:
            return mutator.changed(b"", (b"",))
        low, high = mutator.below(len(inputs)), mutator.below(len(inputs))
        return mutator.changed(inputs[max(low, high)], inputs)

    def _add(self, data: bytes, *, is_known: bool) -> None:
        """An input that has led to something new."""
        target, edges = self._target, self._target.edges
        if len(self._inputs) >= _MOST_INPUTS:
            return
        self._inputs.append(data)
        self.summary.inputs = len(self._inputs)
        if not is_known:
            self._keeper.add(data)
        blocks, compared = edges.blocks(), edges.compared()
        target.noted(blocks)
        self._mutator.learn(tokens(compared))
        self._mutator.learn(target.constants(blocks))
        if is_known and not self._leads_on:
            return
        room = _MOST_WAITING - len(self._waiting)
        self._waiting.extend(each for each, _ in zip(hints(data, compared), range(room), strict=False))

    @property
    def inputs(self) -> tuple[bytes, ...]:
        """Those that led to something new, in their order."""
        return tuple(self._inputs)

    def take_waiting(self, most: int) -> list[bytes]:
        """Inputs that are to be tried next, for whoever tries them instead."""
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def adopt(self, inputs: Iterable[bytes], crashes: Iterable[Crash], counts: Mapping[Hashable, int],
        waiting: Iterable[bytes], executions: int,
    ) -> None:  # fmt: skip
        """What so many executions elsewhere have found is found here, as far as it is still new."""
        target, failures = self._target, self.summary.failures
        self.summary.executions += executions
        for data in inputs:
            if target.run(data) is None and target.edges.news:
                self._add(data, is_known=False)
        for crash in crashes:
            if crash.key not in failures and len(failures) < _MOST_FAILURES:
                failures[crash.key] = Found(*self._keeper.fail(crash))
        for key, count in counts.items():
            if key in failures:
                failures[key].number += count
            else:
                self.summary.left_out += count
        self._waiting.extend(each for each, _ in zip(waiting, range(_MOST_WAITING - len(self._waiting)), strict=False))
        self.summary.edges = target.edges.total

    def _failed(self, failure: Failure, data: bytes) -> None:
        failures = self.summary.failures
        found = failures.get(failure.key)
        if found is not None:
            found.number += 1
        elif len(failures) >= _MOST_FAILURES:
            self.summary.left_out += 1
        else:
            target = self._target
            made, count = minimised(target, data, failure.key) if self._minimise else (data, 0)
            crash = Crash(failure.key, failure.name, made, report(target, made, failure))
            failures[failure.key] = Found(*self._keeper.fail(crash), number=1, minimised=count + 1)
