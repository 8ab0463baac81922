"""Unicorn behind one door: the only package that imports it, with everything that is peculiar to it."""

from emu.engine.core import Engine
from emu.engine.guest import Fault, Guest, Stop, Store
from emu.engine.window import StateWindow, Word

__all__ = ["Engine", "Fault", "Guest", "StateWindow", "Stop", "Store", "Word"]
