"""How often things are done: names and counts, never who, with whom or about what."""
