"""The frozen prefix of a network, computed once by the fastest engine, and its activations cached on disk.

What is frozen with pretrained statistics is a pure function of the image. `prefix` cuts the network there and runs
the first part, `store` keeps its outputs, `costs` decides whether that is worth the room. A view is a function of
seed, number and the file's bytes, because the store knows files and not names.

What a phase costs is a pure function of image counts, facts of the network and throughputs of the machine. Facts come
from the card, or are counted once on the meta device. Throughputs come from earlier runs; a network that never ran
here is timed for a moment, or gets the figures of similar networks. The estimate is announced before the first phase
and once more after each. Before anything of a phase is stored, it is decided whether the frozen prefix is cached or
computed, where the network is cut and in how many views. The estimate uses what was measured here, the decision the
figures of a usual machine: a cached view is another view, and the same plan must not train other weights once the
machine has been measured. The decision stands in `plan.resolved.yaml` as `phases[].frozen_prefix`, so that a resume
repeats it. Caching is preferred up to 1.25 times the time without it, because cached rows serve later phases and
runs, and estimates are noisy.

`headstart embed` fills the same spaces of the store that `train` reads, so either finds the other's rows.
"""
