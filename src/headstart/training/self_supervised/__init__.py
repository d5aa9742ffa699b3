"""Self-supervised pretraining: a backbone is trained on images without labels."""
