"""What happens in which order to a tenant. Decides and orders; every effect is a backend's."""
