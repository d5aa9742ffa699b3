"""Learning rates by layer group: parameter groups, schedules, range test and finder."""
