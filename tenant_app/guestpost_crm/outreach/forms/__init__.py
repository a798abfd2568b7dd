"""Forms: each says which field is wrong, and keeps what was typed."""
