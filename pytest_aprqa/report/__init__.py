"""How it is shown: terminal, HTML, Markdown."""
