"""Who runs it: engines, each in a process of its own."""
