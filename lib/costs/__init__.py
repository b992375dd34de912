"""What calls cost: Bedrock's prices and the ledger of what was spent."""
