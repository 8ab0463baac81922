"""What is in memory when the first instruction executes, and what answers its `ecall`s: images, device tree, SBI."""
