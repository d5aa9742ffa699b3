"""The training loop and what it needs: feeds, checkpoints, stopping, the selected checkpoint.

`feeds.py` gives a step its inputs. A phase with a frozen prefix gets a few seeded views of each image from the
activation cache (`augmentation.cached_views`), which epochs see in turn, and only the suffix is run, in training and
in the validation pass. Where a network cannot be cut, or the store has no room, the whole network is run on pixels,
and an event says so.

A linear probe that was fitted on plain views meets augmented ones in the first step of fine-tuning, and the first
steps of AdamW have full length however small the gradients are. So the head is fitted once more on plain and
augmented views (`tuning_start.py`), and learning rates rise over the first epochs.

The checkpoint holds the network, the optimizer, the position, the losses that a plateau schedule reads, the seconds
trained, the linear probe and the best epoch. That is all a resume needs. Deterministic algorithms are switched on
(those that have none warn). Out of budget, the head is fitted again only if its rows are cached, and the best so far
becomes the bundle, with exit code 0; after a signal the command ends with 130. Both print the resume command.
"""
