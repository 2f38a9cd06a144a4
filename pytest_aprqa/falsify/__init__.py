"""The certifier on trial: faults seeded into copies of a sound model, and which gate sees them."""
