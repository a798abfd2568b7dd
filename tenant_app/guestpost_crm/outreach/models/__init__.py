"""The tables of outreach."""

from guestpost_crm.outreach.models.billing import Invoice, Payment
from guestpost_crm.outreach.models.contacts import Contact, ContactAddress, ThreadAddress
from guestpost_crm.outreach.models.custom import CustomField, SavedView
from guestpost_crm.outreach.models.drafts import DraftFile
from guestpost_crm.outreach.models.imports import Spreadsheet
from guestpost_crm.outreach.models.offers import Offer
from guestpost_crm.outreach.models.orders import Order, OrderChange
from guestpost_crm.outreach.models.placements import Placement, PlacementCheck
from guestpost_crm.outreach.models.sites import Site

__all__ = [
    "Contact",
    "ContactAddress",
    "CustomField",
    "DraftFile",
    "Invoice",
    "Offer",
    "Order",
    "OrderChange",
    "Payment",
    "Placement",
    "PlacementCheck",
    "SavedView",
    "Site",
    "Spreadsheet",
    "ThreadAddress",
]
