"""Which version of this package is installed."""


def installed_version() -> str:
    """The version of this package, as pip knows it."""
    from importlib.metadata import PackageNotFoundError, version  # a third of what all else takes to start

    try:
        return version("ekernel")
    except PackageNotFoundError:
        return "(not installed)"
