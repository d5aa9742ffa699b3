"""pretrain: a backbone from images without labels, in a folder that survives a crash."""
