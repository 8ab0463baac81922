"""The engine of a campaign: where work is executed, and again when lost; beyond this process dask.distributed."""

import logging
import re
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from emu.campaign.identity import checked, identity
from emu.counted import counted
from emu.errors import ConfigError, EmuError

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")
LOCAL = "local"
"""The scheduler that is started here, with processes of this machine."""
_ADDRESS = re.compile(r"(?:tcp|tls)://[^\s/]+:\d+")
_CONNECTS, _JOINS = 10.0, 60.0
"""Seconds in which a scheduler must answer, and in which it must have a worker."""


class Engine(Protocol):
    """Executes functions with their arguments, each at least once, and gives one result of each."""

    @property
    def places(self) -> int:
        """How many are executed at once."""

    def share(self, value: T) -> T:
        """What many calls are given: handed on once to each worker."""

    def submit(self, function: Callable[..., T], *arguments: object) -> Future[T]:
        """Have it executed: `function` is one of a module, as workers import it, and all else can be pickled."""


class Threads:
    """Executes in threads of this process: for what starts a process of its own, or asks others."""

    def __init__(self, pool: Executor, places: int) -> None:
        self._pool, self.places = pool, places

    def share(self, value: T) -> T:
        """Nothing is handed on."""
        return value

    def submit(self, function: Callable[..., T], *arguments: object) -> Future[T]:
        """See `Engine`."""
        return self._pool.submit(function, *arguments)


class Cluster:
    """Executes on the workers of a scheduler of dask.distributed, which gives what a lost worker had to another one."""

    def __init__(self, client: "Client", name: str) -> None:
        self._client, self.name = client, name
        self._executor = client.get_executor(pure=False)
        self._shared: list[object] = []

    @property
    def places(self) -> int:
        """Threads of all workers that are there now."""
        return sum(self._client.nthreads().values())

    def share(self, value: T) -> T:
        """The scheduler keeps it, so that it is not lost with a worker that has it."""
        made = self._client.submit(_itself, value, pure=False)
        self._shared.append(made)
        return cast("T", made)  # in its place as an argument of `submit`

    def submit(self, function: Callable[..., T], *arguments: object) -> Future[T]:
        """See `Engine`."""
        future: Future[T] = self._executor.submit(checked, identity(), function, *arguments)
        return future


def result(future: "Future[T]", name: str) -> T:
    """What was executed has given. Raises ConfigError where the engine could not have it executed."""
    from concurrent.futures import CancelledError

    try:
        return future.result()
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}" if name else str(error)) from None
    except EmuError:
        raise
    except CancelledError:
        raise ConfigError(f"{name}: the scheduler is gone, and what was not executed by then is lost") from None
    except ModuleNotFoundError as error:
        raise ConfigError(f"{name}: a worker has no module {error.name}: install this ekernel there, too") from None
    except AttributeError as error:
        if name and "Can't get attribute" in str(error):
            raise ConfigError(
                f"{name}: a worker has another ekernel: {error}; install the same version there"
            ) from None
        raise
    except Exception as error:
        if type(error).__name__ != "KilledWorker":
            raise
        raise ConfigError(f"{name}: each worker that was given a part of the work has ended: {error}") from None


@contextmanager
def threads(places: int) -> Iterator[Threads]:
    """Threads of this process."""
    with ThreadPoolExecutor(max_workers=places) as pool:
        yield Threads(pool, places)


@contextmanager
def cluster(scheduler: str, workers: int, tell: Callable[[str], None] = lambda _text: None) -> Iterator[Cluster]:
    """The workers of a scheduler at an address; of `local` so many processes of this machine, begun and ended here.

    Raises ConfigError where there is no such scheduler, or nobody works for it.
    """
    if scheduler != LOCAL and not _ADDRESS.fullmatch(scheduler):
        raise ConfigError(f"--scheduler {scheduler}: give an address as tcp://HOST:8786, or local")
    try:
        import distributed
    except ImportError:
        raise ConfigError("--scheduler needs dask.distributed: pip install 'ekernel[campaign]'") from None
    for name in "distributed", "distributed.client", "distributed.scheduler", "distributed.nanny", "distributed.core":
        logging.getLogger(name).setLevel(logging.CRITICAL)  # each lost worker would be a page of its log
    with ExitStack() as stack, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="distributed")  # versions of libraries, large arguments
        address: Any = scheduler
        if scheduler == LOCAL:
            folder = stack.enter_context(TemporaryDirectory(prefix="ekernel-campaign-"))
            try:
                address = stack.enter_context(
                    distributed.LocalCluster(
                        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None,
                        silence_logs=logging.CRITICAL, local_directory=str(Path(folder)), memory_limit=0,
                    )
                )  # fmt: skip
            except RuntimeError as error:
                raise ConfigError(
                    f"--scheduler local: a worker ended before it could begin ({error}): is there memory for "
                    f"{counted(workers, 'process', 'processes')}? Give fewer with -j"
                ) from None
        try:
            client = stack.enter_context(distributed.Client(address, timeout=_CONNECTS, set_as_default=False))
        except OSError:
            raise ConfigError(
                f"--scheduler {scheduler}: no scheduler answers there; start one with dask scheduler"
            ) from None
        made = Cluster(client, f"--scheduler {scheduler}")
        if not made.places:
            tell(f"waiting for a worker: dask worker {scheduler}")
            try:
                client.wait_for_workers(1, timeout=_JOINS)
            except TimeoutError:
                raise ConfigError(f"{made.name} has no worker: start some with dask worker {scheduler}") from None
        yield made


def _itself(value: T) -> T:
    return value
