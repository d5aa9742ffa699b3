"""check: what is in DATA, and what is suspicious there."""
