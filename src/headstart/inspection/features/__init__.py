"""Checks of images by their features: duplicates, label errors, outliers, drift, shortcuts.

Each check is one function, from `CheckedFeatures` to findings.
"""
