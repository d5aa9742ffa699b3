"""The report of a comparison, section by section."""
