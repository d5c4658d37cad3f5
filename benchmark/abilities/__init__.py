"""What a cell can learn: three small tasks, each of which asks one thing of a memory."""
