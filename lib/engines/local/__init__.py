"""The embedded engine: any Hugging Face model of the causal kind, on this machine, through transformers and torch."""
