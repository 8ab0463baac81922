"""What the machine costs, beside QEMU where it is installed, and whether the targets are met.

Each ratio is of two times that were measured in this run, on this host. `docs/performance.md` explains the figures.
"""

from figures import compute, host, linux, privileged, programs, start


def main() -> None:
    """Print every part."""
    for part in (start, linux, compute, programs, privileged, host):
        part.main()


if __name__ == "__main__":
    main()
