"""Encoded bytes -> pixels, format by format."""
