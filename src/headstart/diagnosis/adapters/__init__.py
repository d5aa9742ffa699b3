"""One module a framework: its object -> the set-up that the checks know. None imports the framework."""
