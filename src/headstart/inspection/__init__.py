"""Images, and what a network makes of them: sheets, patches, domain, similarity.

Domain similarity is measured with one instrument, EfficientNet-Lite0, whichever network will be trained: its
BatchNorm layers remember mean and variance of every channel over ImageNet, and the overlap of those with the
activations of the user's images in the last quarter of the layers orders photos, aerial images, X-rays, documents and
digits plausibly. Other networks have other scales.
"""
