"""Choosing a strategy, a network and how to train it, from what is known of the images; no torch."""
