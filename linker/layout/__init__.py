"""Where each input section goes."""
