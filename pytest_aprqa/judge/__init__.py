"""Was it right: pure functions from observations to outcomes."""
