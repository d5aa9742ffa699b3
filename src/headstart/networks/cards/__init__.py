"""Cards of the pretrained networks: one set of weights as facts; without torch.

`cards.json` has one line for each, written by `scripts/make_cards.py` from the installed libraries, timm's published
tables, and the networks themselves (built on the meta device). A test compares it with the installed libraries. Names
are understood without importing either library; only `hf-hub:` needs one.
"""
