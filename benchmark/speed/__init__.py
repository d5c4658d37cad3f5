"""How fast models and cells are, each measured beside a yardstick in the same process."""
