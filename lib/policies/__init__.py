"""What an application does with an answer, by how confident the model was of it."""
