"""Rankings of likely label errors by cleanlab, on features and labels from FILE.npz: cleanlab_issues.py FILE.npz HEAD.

Runs in an environment of its own with cleanlab and scikit-learn. HEAD is how its probabilities are made, out of five
folds: `plain` (logistic regression as in its documentation) or `standardised` (standardised features, C = 0.003).
Prints one line of JSON: for each of its three rankings the images that it names, the likeliest errors first.
"""

from __future__ import annotations

import json
import sys
import warnings

import numpy as np
from cleanlab.filter import find_label_issues
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")
RANKINGS = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
HEADS = {
    "plain": lambda: LogisticRegression(max_iter=400),
    "standardised": lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=400)),
}

if __name__ == "__main__":
    with np.load(sys.argv[1]) as file:
        features, labels = file["features"], file["labels"]
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    probabilities = cross_val_predict(HEADS[sys.argv[2]](), features, labels, cv=folds, method="predict_proba")
    print(
        json.dumps(
            {
                name: find_label_issues(labels, probabilities, return_indices_ranked_by=name).tolist()
                for name in RANKINGS
            }
        )
    )
