"""Virtio over MMIO (Virtual I/O Device specification 1.2): transport, queue, and the devices behind them."""
