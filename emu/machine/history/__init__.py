"""Time as a place to go to: what has come from outside, checkpoints, and the way from moment to moment."""
