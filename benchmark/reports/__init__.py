"""Pure functions of the stored rows: leaderboard, comparisons, tables. Never imports torch."""
