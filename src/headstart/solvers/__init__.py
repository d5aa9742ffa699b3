"""Linear heads fitted exactly on rows of features: ridge, logistic regression, L-BFGS; numpy and scipy only.

A solver reads a `RowSource`: a matrix, or rows of the store block by block. Few rows are rotated into the axes of
their covariance in memory, scaled by the curvature there (the optimum of scikit-learn in a third of the time); many
are passed over in blocks. The fits of a cross-validation differ only in the fold that they leave out, so `lbfgs.py`
evaluates all of them in one pass, with products in single precision and sums in double, always in the same order.
Ridge regression needs one pass: a fold's statistics are subtracted from those of all. It is evaluated by its log loss
at the best temperature, which becomes part of the weights. A feature's scale comes from all rows of the training set,
because it is a unit and knows no label. Above 2^25 values the L2 penalty of a logistic head is chosen on a stratified
seeded sample, and an event says so.

`columns.py` shows a solver some of the features of rows.
"""
