"""The doctor: what is wrong with a training set-up of the user's own, and with a finished run."""
