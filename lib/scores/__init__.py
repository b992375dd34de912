"""Pure functions of tokens: surprisal, perplexity, rankings, alignment."""
