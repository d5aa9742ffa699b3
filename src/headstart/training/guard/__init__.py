"""What training must not do, checked after every epoch: move frozen weights, leave trainable ones still."""
