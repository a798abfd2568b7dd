"""Looking at published pages: the one way in which the CRM asks sites for something.

`addresses` decides where a connection may go, `client` fetches a page within bounds, `findings` reads it.
"""
