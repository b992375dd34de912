"""Files from elsewhere, read in a child process that has limits: tokenizers, chat templates, GGUF metadata, Parquet."""
