"""Where it is kept: models.csv and the README table."""
