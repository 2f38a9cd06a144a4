"""Many machines: the checks of many playbooks as tasks of a Ray cluster."""
