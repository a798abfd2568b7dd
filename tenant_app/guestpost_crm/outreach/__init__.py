"""The work around the mail: sites, contacts, offers, orders, placements, invoices."""
