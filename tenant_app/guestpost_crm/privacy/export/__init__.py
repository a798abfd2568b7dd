"""Everything of this tenant in one archive, and an archive back into an empty tenant."""
