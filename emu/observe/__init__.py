"""Observers: they subscribe to a machine's events and make new ones of them; the machine knows none of them."""
