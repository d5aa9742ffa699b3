"""What is varied in a batch of images or activations while training."""
