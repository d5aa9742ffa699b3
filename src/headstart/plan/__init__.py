"""The plan of a run: its sections, faults, presets, and the request that it follows from.

A plan is typed and frozen (pydantic); an unknown key is a fault, and a wrong plan gets every fault at once, each as
`path: sentence` (`faults.py`). It holds data, domain, model, input, head, phases, augmentation, optimizer, selection,
batch size, budget, seed, engine, and `reasons`: the path of a value that was not given -> one sentence. A reason
belongs to values: a plan file keeps a fingerprint of the values that each sentence speaks of, and a reason whose
values were changed is left out when the file is read (`reasons.py`).

A preset (`presets.py`) is a function from a `Request` to a plan, one for each strategy. A resolved plan is a new plan
in which everything the network decides is filled in. A file of an older schema version is upgraded when it is
read (`upgrade.py`), a newer one is refused.
"""
