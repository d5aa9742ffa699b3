"""Run folders: what a training writes, how it is read again, and who is told while it happens."""
