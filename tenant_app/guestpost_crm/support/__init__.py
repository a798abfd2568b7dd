"""Support access: who of the service may look in, for how long, and what they saw."""
