"""What other programs get: tokens, an API that is described by OpenAPI, and webhooks."""
