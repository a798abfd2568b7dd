"""A real local Kubernetes for development and tests, from package registries alone."""
