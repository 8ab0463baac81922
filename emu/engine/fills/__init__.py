"""The answers to the core's TLB misses, in native code: from what is kept, by a walk, or by asking the model."""
