"""Checks of images before training: duplicates, damage, odd pixels and shapes."""
