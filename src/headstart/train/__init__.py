"""The step that learns: one loop, phases, schedules, and observers that only watch."""
