"""Whether a run leaks: what no score may depend on is changed, and must not show."""
