"""Results as lines and tables for a terminal."""
