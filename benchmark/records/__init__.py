"""What a run leaves behind: its row, and the store of rows. Never imports torch."""
