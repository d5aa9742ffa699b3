"""Step: hand over. What a run or a comparison found, as a page for people who were not there."""
