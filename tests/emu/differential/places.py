"""Where instructions of one kind stand in a batch, and what their programs are."""

import numpy as np
import numpy.typing as npt

from tests.emu.differential.encodings import Array, Source
from tests.emu.differential.traits import Traits


class Places(Source):
    """Where units of one kind stand."""

    def __init__(
        self, random: np.random.Generator, traits: Traits, program: Array, returned: npt.NDArray[np.bool_]
    ) -> None:
        super().__init__(random, program.size)
        self.traits, self.program = traits, program
        self.returned = returned
        """Whether the privilege may be lower than at the start."""

    def of(self, trait: npt.NDArray[np.generic]) -> Array:
        """A trait of each place's program."""
        return trait[self.program].astype(np.int64)
