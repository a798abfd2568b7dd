"""The CRM that runs on each tenant's dedicated server."""
