"""A whole run on one page of HTML, to be looked at without a network: `ekernel report`."""
