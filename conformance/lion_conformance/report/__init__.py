"""What a run found, as plain values (`model`) and as text, JSON, Markdown and HTML."""
