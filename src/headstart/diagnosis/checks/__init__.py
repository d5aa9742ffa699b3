"""One module a theme; each check is a pure function from what was examined to findings."""
