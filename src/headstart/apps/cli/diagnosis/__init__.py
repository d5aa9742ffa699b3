"""The command that finds what is wrong with a run."""
