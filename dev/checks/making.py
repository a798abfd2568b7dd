"""Single records with nothing but what a test says, straight into the tables."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal
from email.message import EmailMessage
from typing import Any


class Make:
    """Records straight into the tables, each with what it needs."""

    def site(self, domain: str = "", **values: Any) -> Any:
        """A site."""
        from guestpost_crm.outreach.models import Site

        return Site.objects.create(domain=domain or f"site{Site.objects.count()}.example", **values)

    def contact(self, *addresses: str, name: str = "Bob Stone", sites: Any = (), **values: Any) -> Any:
        """A contact with these addresses."""
        from guestpost_crm.outreach import domains
        from guestpost_crm.outreach.models import Contact, ContactAddress

        contact = Contact.objects.create(name=name, **values)
        contact.sites.set(sites)
        for address in addresses:
            ContactAddress.objects.create(
                contact=contact, address=address, canonical=domains.canonical(address)
            )
        return contact

    def order(self, site: Any = None, **values: Any) -> Any:
        """An order."""
        from guestpost_crm.outreach.models import Order

        return Order.objects.create(site=site or self.site(), **values)

    def offer(self, by: Any, site: Any = None, **values: Any) -> Any:
        """An offer, which somebody recorded."""
        from guestpost_crm.outreach.models import Offer

        values = {"price": Decimal(100), "created_by": by, **values}
        return Offer.objects.create(site=site or self.site(), **values)

    def placement(self, **values: Any) -> Any:
        """A placement that is due now."""
        from guestpost_crm.outreach.models import Placement

        values = {
            "url": "https://site.example/post",
            "target_url": "https://ours.example/",
            "next_check_at": self.moment(0),
            **values,
        }
        if "site" not in values:
            values["site"] = values["order"].site if values.get("order") else self.site()
        return Placement.objects.create(**values)

    def invoice(self, site: Any = None, **values: Any) -> Any:
        """An invoice."""
        from guestpost_crm.outreach.models import Invoice

        orders = values.pop("orders", ())
        values = {"number": "INV-1", "amount": Decimal(100), "issued_on": self.day(0), **values}
        invoice = Invoice.objects.create(site=site or self.site(), **values)
        invoice.orders.set(orders)
        return invoice

    def thread(self, by: Any, *messages: tuple[str, str]) -> Any:
        """A conversation of a connected mailbox; each message is its From header and its text."""
        from guestpost_crm.gmail.models import Mailbox
        from guestpost_crm.inbox import services

        mailbox, _made = Mailbox.objects.get_or_create(
            sub="sub-of-the-desk",
            defaults={"address": "desk@acme.example", "connected_by": by, "connected_at": self.moment(0)},
        )
        number = mailbox.messages.count()
        thread = mailbox.threads.count()
        for place, (sender, text) in enumerate(messages):
            message = EmailMessage()
            message["From"], message["To"] = sender, "desk@acme.example"
            message["Subject"] = "Guest post"
            message.set_content(text)
            labels = ["SENT"] if "desk@acme.example" in sender else ["INBOX"]
            services.store(
                mailbox,
                f"m{number + place}",
                f"t{thread}",
                labels,
                self.moment(place),
                io.BytesIO(bytes(message)),
            )
        return mailbox.threads.get(gmail_id=f"t{thread}")

    @staticmethod
    def day(away: int) -> dt.date:
        """A day, so many days from today."""
        from django.utils import timezone

        return timezone.localdate() + dt.timedelta(days=away)

    @staticmethod
    def moment(minutes: int) -> dt.datetime:
        """A moment, so many minutes from now."""
        from django.utils import timezone

        return timezone.now() + dt.timedelta(minutes=minutes)
