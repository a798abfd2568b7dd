"""What this CRM writes to people by itself: invitations, lost links, the safety of accounts and data."""
