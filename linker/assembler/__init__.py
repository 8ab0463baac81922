"""The assembler room: from GNU assembly text to a relocatable object."""

from linker.assembler.assembler import assemble, assemble_file
from linker.assembler.options import AssemblerOptions

__all__ = ["AssemblerOptions", "assemble", "assemble_file"]
