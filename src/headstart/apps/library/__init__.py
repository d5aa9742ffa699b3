"""The Python door: what `import headstart` calls."""
