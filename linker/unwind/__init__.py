"""Unwind tables in a link: `.eh_frame` without what nobody needs, and the table that finds an entry by its address."""
