"""Test-wide plugins; playbooks themselves are collected by the installed plugin."""

pytest_plugins = ["pytester"]
