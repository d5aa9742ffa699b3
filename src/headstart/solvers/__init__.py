"""Linear heads solved exactly on rows of features: ridge, logistic regression, L-BFGS; numpy and scipy only."""
