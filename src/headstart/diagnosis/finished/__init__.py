"""What went wrong in a finished run, from what its folder holds."""
