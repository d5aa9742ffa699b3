"""The linear probe: a head fitted on frozen features, the first candidate of every run."""
