"""Looking at data with the network's eyes."""
