"""What a person or a program reads of a run: sentences, trace files, the summary."""
