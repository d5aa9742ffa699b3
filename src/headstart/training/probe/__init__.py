"""The linear probe: a head fitted on frozen features, the first candidate of every run.

A multi_depth head reads the pooled outputs of all depths; `multi_depth.py` compares it with the plain head on the
same rows by the paired test, and if the plain head is better or tied, the bundle is a linear one.
"""
