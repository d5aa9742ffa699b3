"""Trackers: a run written into TensorBoard or MLflow too.

Trackers are observers. `trackers.py` decides what is written at which step, `sinks.py` writes it; a sink raises
whatever goes wrong, and the tracker gives that place up with one event. The step is the number of the epoch over all
phases, taken from the run's own events; a place is first read for the steps that it holds, and what belongs to a step
is one event or one request, so that a crash between writing and saving leaves no step twice. `trackers.json` holds
what was chosen and what a later process needs; it is no part of the plan, because it changes no result.
"""
