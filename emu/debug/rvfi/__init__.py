"""RVFI-DII: instructions come over a socket, and what each of them has done goes back."""
