"""Layer groups of a network, and the only code that freezes, sets BatchNorm and sorts parameters by group.

Groups are ordered from stem to head, as the forward pass meets them; together they own every parameter and buffer
exactly once (checked when a network is built). Two grains: at `stage` a ResNet gives stem, layer1 to layer4, head, an
EfficientNet-Lite stem, stage1 to stage7, head, a ViT embedding, four quarters, head; at `block` every residual block
is a group. Convolutions and norms before the classifier belong to the last stage. Facts by depth apply to any network
by relative position (`knowledge.transfer`).

Three sources are tried in turn for a draft: a table of torchvision's classes (`torchvision.py`), the patterns that
timm keeps with its architectures (`timm.py`, with a short table of tensors that they misplace), and the order of
execution (`order.py`: a forward pass on the meta device, in which a torch-function mode sees the first use of every
tensor). Every draft is finished in the same way: classifier layers become the head, flat lists of blocks are merged
where the map shrinks or into quarters (neighbours with equally many pixels or tokens form a stage), and layers
without tensors go with their neighbours. `docs/zoo-coverage.md` counts for which networks this holds, checked from
outside.
"""
