"""Judging predictions."""
