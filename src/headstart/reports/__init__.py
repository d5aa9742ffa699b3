"""Reports of runs and comparisons, each one self-contained HTML page."""
