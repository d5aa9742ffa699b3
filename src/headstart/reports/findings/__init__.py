"""The page of findings about a set of images."""
