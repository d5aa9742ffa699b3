"""Checks after every epoch: frozen weights have not changed, and trainable ones have.

"Frozen" has three meanings in this field, and only one keeps the pretrained statistics: modules in evaluation mode at
every step. Switching gradients off lets BatchNorm's buffers drift; not tracking statistics normalises by batch in
training and by old statistics in evaluation. Hashes of all frozen tensors and buffers are compared after each epoch.
"""
