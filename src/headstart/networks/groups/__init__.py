"""Layer groups of a network, and the only code that freezes, sets BatchNorm and sorts parameters by group."""
