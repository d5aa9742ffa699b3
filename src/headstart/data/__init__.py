"""Labelled images: where they lie, how they are read, who plays which role. Needs no torch."""
