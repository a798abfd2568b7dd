"""What can be done with sites, contacts, offers, orders, placements and invoices."""
