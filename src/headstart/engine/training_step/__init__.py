"""The forward pass of a training step on a CPU, with exact rewrites of what torch computes slowly there.

`depthwise.py` has the weight gradient of wide depthwise convolutions; `rewrites.py` puts it, and frozen BatchNorms
folded into the convolutions before them, in the place of torch's own functions while a step runs. The network, its
parameters and their gradients are the same up to rounding (`docs/guide/speed.md`).
"""
