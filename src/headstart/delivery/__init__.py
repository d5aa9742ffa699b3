"""Results as files that other tools read: features and predictions."""
