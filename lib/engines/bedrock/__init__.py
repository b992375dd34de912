"""Imported models of Amazon Bedrock, called with boto3."""
