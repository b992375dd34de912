"""What an answer's logprobs say of its words, and what to do about it."""
