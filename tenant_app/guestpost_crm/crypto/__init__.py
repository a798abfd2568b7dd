"""Encryption under the tenant's own key."""
