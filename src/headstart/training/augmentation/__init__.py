"""Augmentation of batches of images or cached activations while training."""
