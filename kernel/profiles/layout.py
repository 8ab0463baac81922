"""What profiles compute of their memory layout, to state addresses in the console output that they promise."""

PAGE = 4096
_MEGAPAGE = 2 << 20
_LOAD_ADDRESS = 0x8020_0000


def pages_for(size: int) -> int:
    """How many pages so many bytes take.

    >>> pages_for(4096), pages_for(4097)
    (1, 2)
    """
    return -(-size // PAGE)


def kernel_tables(kernel_end: int) -> int:
    """Frames for the page tables of an identity mapped kernel.

    The root, one below it, and one for each 2 MiB that the kernel itself lies in, which is mapped by 4 KiB pages.

    >>> kernel_tables(0x8031_9000), kernel_tables(0x8053_1000)
    (3, 4)
    """
    return 2 + -(-(kernel_end - _LOAD_ADDRESS) // _MEGAPAGE)
