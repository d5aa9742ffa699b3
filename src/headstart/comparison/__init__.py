"""Comparisons of several trainings: grid, rounds, statistics, verdicts.

A comparison is a folder of run folders. This package is pure but for reading them: `grid.py` says what varies,
`rounds.py` which trials follow from how the ones before ended (so that a resume finds the same), `summary.py` reads
the folders and writes comparison.json, which is there from the start and says how to go on. `workflow.comparing` runs
one trial after the other. A trial that ended has a `trial.json`; one that was begun is resumed; a folder that was
left by a kill before its plan was resolved is removed. A trial without its weights is tried again on resume, once per
network and call. Trials are compared over the images that all of them predicted, in halving as in the result.

Images and seeds are crossed: a variance has a part that more seeds make smaller and a part that only more images do,
and the part of the seeds gets a half-Cauchy prior that the seeds seen update (`measures.seed_variance`), because two
seeds alone say next to nothing about it. The cheapest of a tie is recommended. With one seed a verdict (McNemar, or
random signs) is about two trained networks; with several it is about two recipes. In simulations it finds differences
between equals in at most 5 %. All pairs of one call are one family for Holm. A tie says how many further images would
decide it, or that more seeds are needed. Labels of learning rates use the same tests on the last epoch; the rule is
total and independent of order.
"""
