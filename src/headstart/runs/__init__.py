"""Run folders: what a training writes, how it is read again, and who observes it.

Every file but `events.jsonl` is written under another name, synced and renamed; events are appended line by line, and
a cut line is skipped when read. A full disk keeps the last whole checkpoint and prints the resume command.

There is no index of old runs: `finding.py` reads the plan, the figures and the end of the events of each folder,
without numpy or torch. Whether an unfinished run still runs cannot be known from its folder; silence of five minutes
counts as killed.
"""
