"""Many runs: what a suite runs, in what order, where, and what is shown of it."""
