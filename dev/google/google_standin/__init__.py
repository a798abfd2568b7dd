"""Stand-in for Google OAuth, OpenID Connect and Gmail, for development and tests only."""
