"""What a comparison of variants shows: verdicts, fronts and labels as pure functions."""
