"""Machines with one allocator each."""

from collections.abc import Callable
from functools import cache

import pytest

from tests.kernel.allocators.guest import Guest


@pytest.fixture(scope="session")
def guest_of() -> Callable[..., Guest]:
    """A machine with the allocator of a source file; one for each, as every test initialises its allocator anew."""
    return cache(Guest)
