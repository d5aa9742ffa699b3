"""A network cut into frozen prefix and trainable suffix, and the engines that run a prefix.

`tracing.py` records the steps of a forward pass in both modes (layers are steps, and so is the code between them),
`graph.py` finds the tensors that cross a cut point, `parts.py` runs a part with the network's own modules, `cut.py`
compares the cut network with the whole, bit for bit, before it is used. Recording is not symbolic tracing: the
forward really runs, so nothing in it has to be traceable, and whole layers stay as they are (`docs/cut-coverage.md`).

`engines.py` runs a prefix: PyTorch with BatchNorm folded, or ONNX Runtime, whichever is done sooner with the images
to come, set-up included. An engine is used only after its outputs on real images agreed with the network's. The
engine that first computed something is written into `plan.resolved.yaml`, so that a resume computes alike. One thread
per core, each with its own images: a single-threaded ONNX Runtime session is called from as many threads as there are
cores, and each decodes the four images it runs.

`depth_features.py` adds a bias-free layer `multi_depth` to a network and puts a traced program in place of its
forward, so that one pass gives the network's own logits and the pooled output of every stage. Everything that knows
heads works unchanged. `networks` may not import this package, so `load_classifier` is given `with_depths`.
"""
