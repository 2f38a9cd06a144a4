"""Run one check: the one path that pytest, the command line and a fleet all call."""
