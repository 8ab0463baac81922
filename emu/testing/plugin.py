"""The pytest plugin: machines as fixtures, and reports of failed tests that show the guest. See docs/testing.md."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # a run of pytest that uses no machine loads none of this
    from emu.machine import Machine
    from emu.observe.allocations.description import Allocator
    from emu.testing.accounts import Allocations, Faults
    from emu.testing.console import Console
    from emu.testing.coverage import Covered
    from emu.testing.execute import Executor
    from emu.testing.failures import Watched
    from emu.testing.golden import Golden
    from emu.testing.limits import Limits
    from emu.testing.machines import Boots

pytest_plugins = ["emu.testing.judging"]
_FIDELITIES = ("exact", "fast")
WATCHED: "pytest.StashKey[list[Watched]]" = pytest.StashKey()
MADE: pytest.StashKey[ExitStack] = pytest.StashKey()
"""Where machines that one example of hypothesis makes are given up before the next."""
COVERED: "pytest.StashKey[Covered]" = pytest.StashKey()
_SETTINGS = frozenset({"until", "text", "fidelity", "memory", "bootargs", "initrd", "most", "config"})


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Options and settings."""
    _keep_as_they_are(pluginmanager)
    parser.addini("ekernel_kernel", "The kernels that the fixture `machine` boots: ELF files, or profile:NAME.", "args")
    parser.addini("ekernel_until", "How far `machine` is booted: a symbol.", default="")
    parser.addini("ekernel_text", "How far `machine` is booted: a text on its console.", default="")
    parser.addini("ekernel_fidelity", "exact, fast, or both.", "args", default=["exact"])
    parser.addini("ekernel_memory", "The machine's memory, 128M for example.", default="128M")
    group = parser.getgroup("ekernel", "kernels in RISC-V machines")
    group.addoption("--kernel", action="append", default=[], help="Boot this instead of what marks and settings say.")
    group.addoption("--guest-instructions", type=int, help="How many instructions a guest may execute in one test.")
    group.addoption("--guest-console", type=int, help="How many bytes a guest may write to its console in one test.")
    group.addoption("--guest-cov", action="store_true", help="Say which lines of the kernels were never executed.")
    group.addoption("--guest-cov-lcov", metavar="FILE", type=Path, help="Write the same for lcov, test by test.")
    group.addoption("--guest-cov-html", metavar="FILE", type=Path, help="Write it as a page, with source and tests.")
    group.addoption(
        "--guest-recordings", metavar="FOLDER", type=Path,
        help="Keep the run of each machine of a failed test there, for `ekernel replay FILE --gdb tcp::1234`.",
    )  # fmt: skip
    with suppress(ValueError):  # where syrupy is installed: the same word for the same wish
        group.addoption("--snapshot-update", action="store_true", default=False, help="Write golden traces anew.")


def _keep_as_they_are(manager: pytest.PytestPluginManager) -> None:
    """Keep pytest from compiling all our packages anew: it means to explain the assertions of whole distributions.

    That takes seconds, in each run where its results cannot be stored beside the modules.
    """
    marked = getattr(manager.rewrite_hook, "_must_rewrite", None)
    if isinstance(marked, set):
        marked -= {"emu", "ekernel", "kernel", "linker", __name__}
        getattr(manager.rewrite_hook, "_marked_for_rewrite_cache", {}).clear()


def pytest_configure(config: pytest.Config) -> None:
    """Say which marks there are, and begin to measure what was asked for."""
    if any(config.getoption(f"--guest-cov{word}") for word in ("", "-lcov", "-html")):
        from emu.testing.coverage import Covered

        config.stash[COVERED] = Covered()
    config.addinivalue_line(
        "markers",
        "kernel(*files, until=SYMBOL, text=TEXT, fidelity='exact'|'fast'|'both', memory='128M', bootargs=TEXT, "
        "initrd=FILE, most=INSTRUCTIONS): what the fixture `machine` boots, and how far",
    )
    config.addinivalue_line(
        "markers", "budget(instructions=N, traps=N, memory=BYTES): fail when a test's machine has used more"
    )
    config.addinivalue_line("markers", "points(number): what a test is worth to `ekernel grade`")
    config.addinivalue_line("markers", "fuzz(...): what @ekernel.fuzz says")
    config.addinivalue_line("markers", "no_leaks: fail when frames or heap blocks that the test allocated are held")
    config.addinivalue_line("markers", "no_faults: fail for page faults that the kernel did not resolve")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each kernel and fidelity that were asked for."""
    if "machine" not in metafunc.fixturenames and "fidelity" not in metafunc.fixturenames:
        return
    settings = _settings(metafunc.definition)
    if "fidelity" in metafunc.fixturenames and _is_ours(metafunc, "fidelity"):
        words = _fidelities(metafunc.config, settings)
        if len(words) > 1:
            metafunc.parametrize("fidelity", words, indirect=True)
    kernels = _kernels(metafunc.config, settings)
    if "kernel" in metafunc.fixturenames and _is_ours(metafunc, "kernel") and len(kernels) > 1:
        metafunc.parametrize("kernel", kernels, indirect=True, ids=[Path(str(each)).name for each in kernels])


def _is_ours(metafunc: pytest.Metafunc, name: str) -> bool:
    for mark in metafunc.definition.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
        if name in (names.replace(",", " ").split() if isinstance(names, str) else names):
            return False
    found = metafunc._arg2fixturedefs.get(name)
    return found is not None and found[-1].func.__module__ == __name__


def _settings(node: pytest.Item | Any) -> dict[str, Any]:
    """What the nearest mark says; UsageError for a word that none knows."""
    mark = node.get_closest_marker("kernel")
    if mark is None:
        return {}
    for name in mark.kwargs.keys() - _SETTINGS:
        raise pytest.UsageError(f"{node.nodeid}: kernel({name}=...): it takes {', '.join(sorted(_SETTINGS))}")
    return {"files": list(mark.args), **mark.kwargs}


def _kernels(config: pytest.Config, settings: dict[str, Any]) -> list[Any]:
    given: list[Any] = config.getoption("--kernel") or settings.get("files") or config.getini("ekernel_kernel")
    return given


def _fidelities(config: pytest.Config, settings: dict[str, Any]) -> list[str]:
    given = settings.get("fidelity") or config.getini("ekernel_fidelity")
    words = [given] if isinstance(given, str) else list(given)
    found = [each for word in words for each in (_FIDELITIES if word == "both" else (word,))]
    for each in found:
        if each not in _FIDELITIES:
            raise pytest.UsageError(f"fidelity {each!r}: it takes exact, fast or both")
    return found


# Machines.


@pytest.fixture(scope="session")
def _boots(pytestconfig: pytest.Config) -> Iterator["Boots"]:
    from emu.testing.machines import Boots

    boots = Boots(is_anew=pytestconfig.getoption("--guest-recordings") is not None)
    yield boots
    boots.close()


@pytest.fixture
def fidelity(request: pytest.FixtureRequest) -> str:
    """`exact` or `fast`: by the mark `kernel`, the setting `ekernel_fidelity`, or a fixture of the test's own."""
    word: str = getattr(request, "param", "") or _fidelities(request.config, _settings(request.node))[0]
    return word


@pytest.fixture
def kernel(request: pytest.FixtureRequest) -> Any:
    """The kernel that `machine` boots: by the mark `kernel`, the setting `ekernel_kernel`, or one's own fixture."""
    if hasattr(request, "param"):
        return request.param
    files = _kernels(request.config, _settings(request.node))
    if not files:
        pytest.fail(
            "no kernel to boot: mark the test with @pytest.mark.kernel('kernel.elf'), set ekernel_kernel in "
            "pytest's settings, or write a fixture `kernel` that returns the file",
            pytrace=False,
        )
    return files[0]


@pytest.fixture
def boot(request: pytest.FixtureRequest, _boots: "Boots", fidelity: str) -> Iterator[Callable[..., "Machine"]]:
    """`boot("kernel.elf", until="main")`: a machine that stands there; booted once a session, then returned to it.

    `until` is a symbol, an address or a class of events, or `text` a text on its console; `memory`, `bootargs`,
    `initrd` and `config` (a MachineConfig) say what it is booted with.
    """
    settings = {name: value for name, value in _settings(request.node).items() if name != "files"}
    config = request.config
    if not settings.keys() & {"until", "text"}:
        settings |= {name: value for name in ("until", "text") if (value := config.getini(f"ekernel_{name}"))}
    settings.setdefault("memory", config.getini("ekernel_memory"))
    with ExitStack() as stack:
        yield lambda image, **words: _booted(
            request.node,
            _boots,
            request.node.stash.get(MADE, stack),
            image,
            _without_other_place(settings, words) | {"fidelity": fidelity} | words,
        )


def _without_other_place(settings: dict[str, Any], words: dict[str, Any]) -> dict[str, Any]:
    """Settings, but for how far a boot goes where the call says that itself."""
    drop = {"until", "text"} if words.keys() & {"until", "text"} else set()
    return {name: value for name, value in settings.items() if name not in drop}


def _booted(node: pytest.Item, boots: "Boots", stack: ExitStack, image: Any, words: dict[str, Any]) -> "Machine":
    """A machine of the session, watched until the test ends."""
    __tracebackhide__ = True
    from emu.errors import EmuError
    from emu.machine import MachineConfig
    from emu.testing.failures import Watched
    from emu.testing.limits import Allowance
    from emu.testing.machines import BOOT_LIMIT, Place, check_words, image_of, ram_size, without_a_trace

    try:
        check_words(words)
        config = words.get("config") or MachineConfig(
            fidelity=words["fidelity"], ram_size=ram_size(words["memory"]), bootargs=words.get("bootargs", "")
        )
        limits = _limits(node.config)
        most = words.get("most", BOOT_LIMIT)
        place = Place(words.get("until"), words.get("text"), min(most, limits.instructions or most))
        loading = {"initrd": words["initrd"]} if "initrd" in words else {}
        machine = boots.at(image_of(image), place, config, limits, **loading)
    except EmuError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    stack.enter_context(without_a_trace(machine))
    allowance = Allowance(machine, limits)
    stack.callback(allowance.close)
    covered = node.config.stash.get(COVERED, None)
    if covered is not None:
        stack.callback(covered.follow(machine, machine.image.name if machine.image else "?", node.nodeid).close)
    watched = Watched(machine, machine.platform.console.written)
    stack.callback(watched.close)
    node.stash.setdefault(WATCHED, []).append(watched)
    return machine


def _limits(config: pytest.Config) -> "Limits":
    from emu.testing.limits import Limits

    return Limits(config.getoption("--guest-instructions"), config.getoption("--guest-console"))


@pytest.fixture
def machine(boot: Callable[..., "Machine"], kernel: Any) -> "Machine":
    """The kernel's machine, as far as the mark or the settings say: the same at the beginning of each test."""
    __tracebackhide__ = True
    return boot(kernel)


@pytest.fixture
def assemble(request: pytest.FixtureRequest, fidelity: str) -> Iterator[Callable[..., "Machine"]]:
    """`assemble("li a0, 1; ret")`: a machine that stands at the first instruction of a program of its own.

    In S mode above the built-in firmware, or with `firmware="none"` in M mode; labels are symbols.
    """
    from emu.machine import MachineConfig
    from emu.testing.failures import Watched
    from emu.testing.program import program

    with ExitStack() as stack:

        def make(source: str, **config: Any) -> "Machine":
            __tracebackhide__ = True
            made = program(source, MachineConfig(**{"fidelity": fidelity, "ram_size": 16 << 20, **config}))
            scope = request.node.stash.get(MADE, stack)
            scope.callback(made.close)
            watched = Watched(made, 0)
            scope.callback(watched.close)
            request.node.stash.setdefault(WATCHED, []).append(watched)
            return made

        yield make


# What a test asks of its machine.


@pytest.fixture
def call(machine: "Machine") -> Callable[..., Any]:
    """`call("int sum(int, int)", 1, 2)` or `call("sum", 1, 2)`: the result of a guest function.

    Types are those of the prototype or of the debug information; without, up to eight integers and a0 unsigned.
    """
    from emu.errors import ConfigError

    functions: dict[str, Callable[..., Any]] = {}

    def make(function: str, *args: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        if not isinstance(function, str):
            raise TypeError(f"call: {function!r} is no function's name or prototype, which are text")
        if function not in functions:
            try:
                functions[function] = machine.function(function)
            except ConfigError:
                if "(" in function or named:
                    raise
                words = [f"unsigned long a{number}" for number in range(len(args))]
                functions[function] = machine.function(f"unsigned long {function}({', '.join(words) or 'void'})")
        return functions[function](*args, **named)

    return make


@pytest.fixture
def structure(machine: "Machine") -> Callable[[str, int | str], Any]:
    """`structure("struct point", "origin")`: what the debug information finds there, with its fields."""
    from emu.errors import ConfigError

    def read(kind: str, place: int | str) -> Any:
        __tracebackhide__ = True
        made: Any = machine.platform.names.type_named(kind)
        if made is None:
            raise ConfigError(f"the debug information has no type {kind!r}: build with -g; `struct NAME`, or a typedef")
        return made.from_buffer_copy(machine.read_virtual(place, ctypes.sizeof(made)))

    return read


@pytest.fixture
def console(machine: "Machine") -> "Console":
    """The machine's console from the beginning of the test: `expect`, `send`, `sendline`."""
    from emu.testing.console import Console

    return Console(machine)


@pytest.fixture
def allocators() -> tuple["Allocator", ...]:
    """The kernel's allocators; a fixture of one's own describes them where `ekernel run` does not find them."""
    return ()


@pytest.fixture
def allocations(machine: "Machine", allocators: tuple["Allocator", ...]) -> Iterator["Allocations"]:
    """The account of frames and heap blocks since the test began: `no_leaks()`, `no_mistakes()`, `frames`, `blocks`."""
    from emu.errors import EmuError
    from emu.testing.accounts import Allocations

    try:
        made = Allocations(machine, tuple(allocators))
    except EmuError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    yield made
    made.close()


@pytest.fixture
def faults(machine: "Machine") -> Iterator["Faults"]:
    """The page faults since the test began: `no_faults()`, `unresolved`, `all`."""
    from emu.testing.accounts import Faults

    made = Faults(machine)
    yield made
    made.close()


@pytest.fixture(scope="session")
def _executors() -> Iterator[dict[str, "Executor"]]:
    made: dict[str, Executor] = {}
    yield made
    for each in made.values():
        each.close()


@pytest.fixture(name="exec")
def execute_instructions(fidelity: str, _executors: dict[str, "Executor"]) -> "Executor":
    """`exec("add a0, a1, a2", a1=-1, a2=1) == {"a0": 0}`: instructions with registers in and changes out."""
    from emu.testing.execute import Executor

    if fidelity not in _executors:
        _executors[fidelity] = Executor(fidelity)
    return _executors[fidelity]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> "Golden":
    """`golden(trace)`: compare with what is stored beside the test; `--snapshot-update` stores it anew."""
    from emu.testing.golden import Golden

    update = bool(request.config.getoption("--snapshot-update", default=False))
    return Golden(request.path, request.node.name, update=update)
