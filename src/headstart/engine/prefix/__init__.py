"""A network cut into frozen prefix and trainable suffix, and the engines that run a prefix."""
