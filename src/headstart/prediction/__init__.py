"""A trained classifier in use: the bundle, its predictions, its latency."""
