"""A local Bedrock: imported models with log probabilities, over HTTP, as any AWS client knows them."""
