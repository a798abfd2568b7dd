"""GuestPostCRM operator: one GuestPostTenant becomes one isolated CRM server."""
