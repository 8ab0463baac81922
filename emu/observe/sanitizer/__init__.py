"""What a kernel does to memory that it must not touch: found at each access, in code that was not recompiled."""
