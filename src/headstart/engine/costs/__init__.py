"""Runtime and memory: estimates before a run, measurements after it, and what the next estimate learns from them."""
