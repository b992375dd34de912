"""The local engine: runs a causal language model on this machine with transformers and torch."""
