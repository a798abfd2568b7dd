"""What kopf calls: parse, hand over, return. Nothing is decided here."""
