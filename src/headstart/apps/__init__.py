"""Doors: they parse, call one workflow function, and show."""
