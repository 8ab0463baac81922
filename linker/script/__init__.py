"""The linker-script language: grammar, parser, evaluation."""
