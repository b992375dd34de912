"""The data model: requests, tokens, completions, and how they are stored as bytes. No engine, no I/O."""
