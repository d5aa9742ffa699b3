"""The workflow of train as a scikit-learn estimator."""
