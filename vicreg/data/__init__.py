"""Images: where they come from, what they are, and which of them serves what."""
