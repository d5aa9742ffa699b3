"""Learning rates by layer group: parameter groups, schedules, range test and finder.

A phase whose peak learning rates are to be found is rehearsed before its first step (`finder.py`): the same feed,
batches, views, seeds, optimizer and BatchNorm, with the learning rates of some groups rising. The head is tested with
a frozen backbone, then the backbone by one factor, with the head at the value found. Each is compared image by image
with the same steps in which the tested groups are frozen, because batches differ far more than a few steps change
them. `range_test.py` reads the curve without a network: the edge is where half of the distance to a guess is lost;
the head gets a tenth of it, the backbone a third. The largest harmless learning rate was tried as the edge and
undertrains, and a lowest loss does not exist behind a fitted linear probe. Everything depends only on seed, phase,
epoch and step, weights and buffers are put back bit for bit, and the values found are written into
`plan.resolved.yaml`, so that a resume does not search again. Loop and finder share one function for a batch's
augmentation, so that both take the same step.
"""
