"""`kubectl guestpost`: looking after tenants on the command line, with the person's own rights."""
