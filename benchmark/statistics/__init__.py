"""What chance explains: pure functions on NumPy arrays. Never imports torch."""
