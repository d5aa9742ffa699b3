"""Which of many pretrained networks are worth training on a user's images.

`ranking.py` ranks networks in rounds (`halving.py`): a few images first, the better half again on more. The ridge
probe of the last round decides, out of fold and by group; LogME, H-score, neighbours and ImageNet's order are shown
next to it, with their agreement. Features come from the activation cache, so that a later `train` finds them.
"""
