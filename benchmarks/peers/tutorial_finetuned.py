"""The tutorial's other half: the same loop as tutorial_fixed.py, line by line, but all layers learn.

python benchmarks/peers/tutorial_finetuned.py FOLDER [EPOCHS [SEED [SIZE [VALIDATE_EVERY]]]]
"""

from __future__ import annotations

from tutorial_fixed import main

if __name__ == "__main__":
    main(trained="all layers")
