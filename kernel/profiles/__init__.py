"""The profiles that can be built, by name."""

from collections.abc import Mapping

from kernel.profile import Profile
from kernel.profiles.frame_tracker import FRAME_TRACKER
from kernel.profiles.full import FULL
from kernel.profiles.rcore_tutorial import RCORE_TUTORIAL
from kernel.profiles.rcore_v3 import RCORE_V3
from kernel.profiles.shell import SHELL
from kernel.profiles.step_by_step import STEP_BY_STEP

_ALL = (FULL, RCORE_V3, RCORE_TUTORIAL, STEP_BY_STEP, FRAME_TRACKER, SHELL)

PROFILES: Mapping[str, Profile] = {profile.name: profile for profile in _ALL}
"""Every profile by its name."""

__all__ = ["FRAME_TRACKER", "FULL", "PROFILES", "RCORE_TUTORIAL", "RCORE_V3", "SHELL", "STEP_BY_STEP"]
