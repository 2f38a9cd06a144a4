"""What it means: evidence, score and certificate."""
