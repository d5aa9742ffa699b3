"""The activation cache: outputs of frozen prefixes on disk, addressed by content.

The address of a row is made of everything that decides it: hash of the weights, cut point, input, decoder, library
and version of the network, engine with its version and device, precision, view, and the hash of the file's bytes.
Shards are written under another name and renamed, checked when read, and removed by least recent use when the limit
is reached.

`activations.py` joins prefix, engine and store: rows from the store, missing ones computed and stored. Rows of
another engine will do, because each was compared with the network as it is, if this process could make that engine:
the same torch, the same ONNX Runtime, the same kind of device.

Where the pretrained backbone is selected, the test images are evaluated from cached rows too (in single precision):
they are found by the hash of the weights in the bundle, so that the bundle is evaluated as it lies on disk.
"""
