"""GuestPostCRM operator: one GuestPostTenant becomes one isolated CRM server."""

VERSION = "0.1.0"
