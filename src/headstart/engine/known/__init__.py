"""Networks that this machine knows: what was computed with them before is computed again without torch.

The first use of a network exports its frozen backbone for ONNX Runtime and compares both on real images
(`engine/prefix/`). `remembering.py` then writes down, under `$HEADSTART_HOME/known`, what a later process needs in
place of the network: the key of its activations in the store, the export, the shapes of its head, its tensors.
`finding.py` is the one place that decides whether torch is needed; `classifier.py` is what is used where it is not:
features by ONNX Runtime, a head in numpy, and a torch network that is built only when something has to be trained.
"""
