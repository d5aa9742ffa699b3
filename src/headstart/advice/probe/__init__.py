"""How much of a network transfers to a user's images, layer group by layer group.

`reader.py` reads a network after every group in one pass: pooled features, and per channel the strongest position.
`depth_rows.py` takes the pooled features out of the activation cache instead, where a head on all depths has them too.
`by_depth.py` is pure: folds by group, linear probe, neighbours, CKA, and a sentence that says where the curve rises,
stops or falls. `inspection.depth_pass` reads every image once, hashes and decodes it in the same go; with a run, its
network sees the same batch. Test images of `train` are not used; with a run, only its training images are. Intervals
and the sign test count groups of images, not images.
"""
