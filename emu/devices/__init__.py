"""The devices of QEMU's `virt` machine, one a file, each readable beside its datasheet."""
