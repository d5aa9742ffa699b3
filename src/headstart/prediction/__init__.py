"""A trained classifier in use: the bundle, its predictions, its latency.

A bundle is `model.safetensors` (the network's whole state under the library's own tensor names; with a linear head it
loads into timm's or torchvision's own network of that architecture), `bundle.json` (schema version, model card, kind
of head, classes in the order of the outputs, input spec, temperature and thresholds or null, licence of the weights)
and `trained_on.json`: salted 8-byte hashes of the training and validation files, so that `evaluate` knows what it has
seen. Nothing in it runs code when it is read, and nothing in it is a user's image.

A bundle that predicts many images takes their features from the same engines as training and applies its own head to
them, after both paths agreed on two images.
"""
