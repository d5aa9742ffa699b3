"""Commands that train on images without labels."""
