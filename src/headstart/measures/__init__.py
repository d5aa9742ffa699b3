"""Pure numbers on arrays: metrics, intervals, paired tests, similarity of features; no torch, no files."""
