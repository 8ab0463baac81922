"""Laboratories: experiments on the teaching kernel that end in a table, the same in each run."""
