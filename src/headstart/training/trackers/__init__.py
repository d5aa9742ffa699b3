"""Trackers: a run written into TensorBoard or MLflow too."""
