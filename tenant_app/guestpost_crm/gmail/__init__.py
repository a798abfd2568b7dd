"""Gmail: consent, watch, sync, and sending."""
