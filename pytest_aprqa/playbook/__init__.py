"""What to test: playbooks, tiers, prompts and the plan they expand to."""
