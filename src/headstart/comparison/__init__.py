"""Comparisons of several trainings: grid, rounds, statistics, verdicts."""
