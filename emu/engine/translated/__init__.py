"""Operations of our own in translated code: see docs/engine.md."""
