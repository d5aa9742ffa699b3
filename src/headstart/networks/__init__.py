"""Pretrained networks with a new head: building, layer groups, cards and weights.

`heads.py` finds every layer whose outputs are the classes (by `get_classifier` and the attributes in which libraries
keep heads) and replaces each with a layer of the user's classes; no layer keeps the old ones. Several main heads
share the logits in proportions that are measured (weights zero, one bias one), so that a linear probe fitted on the
features of all of them together is written exactly. Auxiliary heads (Inception, GoogLeNet, VOLO) help training only:
writing a linear probe sets them to zero.

`memory_format.py`: NHWC everywhere but in strided 1x1 convolutions of fewer than 16 input channels, because there
torch 2.14.1 corrupts memory in backward with several threads (the first layers of RepVGG and MobileOne); they get
NCHW while they are trained.
"""
