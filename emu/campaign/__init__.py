"""Campaigns: many runs, spread over processes and machines by an engine that survives the loss of some of them."""
