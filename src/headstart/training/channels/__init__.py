"""Bands of images and the three channels of pretrained weights: which way they go is decided by a probe."""
