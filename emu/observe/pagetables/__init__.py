"""What happens to page tables while a kernel runs: who writes them, what they must never hold."""
