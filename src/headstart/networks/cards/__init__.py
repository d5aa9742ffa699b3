"""Which pretrained networks there are, as facts; without torch."""
