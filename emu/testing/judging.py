"""The plugin's part that judges and reports: marks, failed tests with their guest, coverage."""

import re
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from emu.errors import EmuError
from emu.testing import examples
from emu.testing.plugin import COVERED, WATCHED

_EKERNEL = tuple(Path(__file__).parents[2] / name for name in ("emu", "linker"))
"""Whose lines say nothing to who writes tests."""


def _is_explained(excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
    """Whether the text of an exception says all that its author's lines could."""
    from linker.errors import ToolchainError  # few tests fail, and pytest loads this file for all projects

    return isinstance(excinfo.value, EmuError | ToolchainError)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let hypothesis call tests that use machines."""
    if isinstance(item, pytest.Function):
        examples.allow(item)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """After a test that has passed, what its marks ask for."""
    wants = [name for name in ("no_leaks", "no_faults") if pyfuncitem.get_closest_marker(name)]
    machine = pyfuncitem.funcargs.get("machine")
    if wants and machine is None:
        pytest.fail(f"@pytest.mark.{wants[0]} needs the fixture `machine`", pytrace=False)
    with ExitStack() as stack:
        checks = [_check(name, machine, pyfuncitem, stack) for name in wants]
        with examples.each_from_the_start(pyfuncitem):
            result = yield
        try:
            for check in checks:
                check()
        except AssertionError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        _check_budget(pyfuncitem)
        _fuzz(pyfuncitem)
        return result


def _check(name: str, machine: Any, item: pytest.Function, stack: ExitStack) -> Callable[[], None]:
    from emu.testing.accounts import Allocations, Faults

    if name == "no_leaks":
        described: Any = item.funcargs.get("allocators", ())
        allocations = Allocations(machine, tuple(described))
        stack.callback(allocations.close)
        return allocations.no_leaks
    faults = Faults(machine)
    stack.callback(faults.close)
    return faults.no_faults


def _fuzz(item: pytest.Function) -> None:
    mark = item.get_closest_marker("fuzz")
    if mark is None:
        return
    from emu.testing.fuzz import judge

    machine = item._request.getfixturevalue("machine")
    place = item.get_closest_marker("kernel")
    until = (place.kwargs.get("until") if place else None) or item.config.getini("ekernel_until") or None
    folder = item._request.getfixturevalue("tmp_path")
    try:
        judge(machine, folder, until, *mark.args, **mark.kwargs)
    except (AssertionError, EmuError) as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _check_budget(item: pytest.Function) -> None:
    budget = item.get_closest_marker("budget")
    if budget is None:
        return
    for word in budget.kwargs.keys() - {"instructions", "traps", "memory"}:
        pytest.fail(f"budget({word}=...): it takes instructions, traps and memory", pytrace=False)
    watched = item.stash.get(WATCHED, [])
    for word, most in budget.kwargs.items():
        if not isinstance(most, int):
            pytest.fail(f"budget({word}={most!r}): give a number", pytrace=False)
        used = sum(getattr(each, word) for each in watched)
        what = "bytes of memory" if word == "memory" else word
        if used > most:
            pytest.fail(f"the test used {used:,} {what}, and its budget is {most:,}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the guest where a test has failed, and of what ekernel has raised the test's own lines."""
    for entry in call.excinfo.traceback if call.excinfo is not None else ():
        if any(Path(entry.path).is_relative_to(folder) for folder in _EKERNEL):
            # As if the function had a variable of this name: pytest asks it, unless for --full-trace.
            entry.frame.f_locals["__tracebackhide__"] = _is_explained
    report = yield
    if report.failed and call.when == "call":
        folder = item.config.getoption("--guest-recordings")
        machines = item.stash.get(WATCHED, [])
        for number, watched in enumerate(machines):
            report.sections += list(watched.sections())
            if folder is not None:
                name = re.sub(r"[^\w.-]+", "-", item.nodeid).strip("-")[-120:]
                report.sections.append(watched.recorded(folder / f"{name}{f'-{number}' * bool(number)}.ekrec"))
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a process of xdist, hand over what was measured."""
    covered = session.config.stash.get(COVERED, None)
    output = getattr(session.config, "workeroutput", None)
    if covered is not None and output is not None:
        output["ekernel_covered"] = covered.plain()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a process of xdist has measured."""
    covered = node.config.stash.get(COVERED, None)
    if covered is not None:
        covered.add(getattr(node, "workeroutput", {}).get("ekernel_covered", {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show what was never executed, and write the file for lcov."""
    covered = config.stash.get(COVERED, None)
    if covered is None:
        return
    if config.getoption("--guest-cov"):
        terminalreporter.section("coverage of the guests")
        for line in covered.lines():
            terminalreporter.line(line)
    path = config.getoption("--guest-cov-lcov")
    if path is not None:
        path.write_text("".join(f"{line}\n" for line in covered.tracefile()), encoding="utf-8")
    path = config.getoption("--guest-cov-html")
    if path is not None:
        path.write_text(covered.pages(), encoding="utf-8")


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain a failed comparison with what the guest has."""
    import sys

    if op != "==" or "emu.machine" not in sys.modules:
        return None
    from emu.testing.differences import explain

    return explain(left, right)
