"""What engines behind a network share: the stream's thread, rate limit and retry."""
