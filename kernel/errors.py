"""Errors of building the kernel."""


class KernelBuildError(Exception):
    """The kernel cannot be built as asked: no such profile or allocator, or the output cannot be written.

    Errors in the sources themselves are the toolchain's (`linker.errors.ToolchainError`).
    """
