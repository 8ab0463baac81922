"""Addresses of 64 bits as numbers that JavaScript keeps exactly: below 2^53 and in the order of their discovery."""

_REGION_BITS = 32
_MOST = 1 << 20


class Regions:
    """Numbers the regions of 4 GiB that addresses lie in; an address becomes its region's number and its lower half.

    >>> regions = Regions()
    >>> [hex(regions.short(address)) for address in (0xFF60_0000_0000_1040, 0xFF20_0000_0000_1040)]
    ['0x1040', '0x100001040']
    >>> [hex(region) for region in regions.plain()]
    ['0xff600000', '0xff200000']
    """

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def short(self, address: int) -> int:
        """The number that stands for an address; addresses of more than a million regions are told wrongly."""
        region = address >> _REGION_BITS
        number = self._numbers.get(region)
        if number is None:
            number = len(self._numbers)
            if number < _MOST:
                self._numbers[region] = number
        return number << _REGION_BITS | address & (1 << _REGION_BITS) - 1

    def plain(self) -> list[int]:
        """The upper halves of the addresses, by number."""
        return list(self._numbers)
