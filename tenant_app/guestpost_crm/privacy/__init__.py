"""The customer's data in the customer's hands: export, erasure, support access."""
