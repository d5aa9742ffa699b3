"""The plan of a run: its sections, faults, presets, and the request that it follows from."""
