"""What engines behind a network share: the stream's thread, the rate limit and retries."""
