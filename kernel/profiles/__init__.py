"""The profiles that can be built, by name."""

from collections.abc import Mapping

from kernel.profile import Profile
from kernel.profiles.full import FULL
from kernel.profiles.step_by_step import STEP_BY_STEP

PROFILES: Mapping[str, Profile] = {profile.name: profile for profile in (FULL, STEP_BY_STEP)}
"""Every profile by its name."""

__all__ = ["FULL", "PROFILES", "STEP_BY_STEP"]
