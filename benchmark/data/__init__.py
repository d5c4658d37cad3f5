"""From a data set card to scaled windows."""
