"""Tables as DATA (.csv, .tsv, .jsonl, .parquet): from the file to one row an image."""
