"""The activation store: outputs of frozen prefixes on disk, addressed by content."""
