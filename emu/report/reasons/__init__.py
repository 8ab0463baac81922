"""Why something happened, in words: what refused an access, what an illegal instruction was, where a jump came from."""
