"""train: folder -> plan -> training -> bundle -> figures."""
