"""A server of weights on this machine, and the promise that no test asks any other."""

from local_host import home, host, nobody, outside

__all__ = ["home", "host", "nobody", "outside"]
