"""Costs of calls: Bedrock prices and the ledger of spend."""
