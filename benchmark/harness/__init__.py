"""One run: what it is, how it is made and kept, and what can be done with it after."""
