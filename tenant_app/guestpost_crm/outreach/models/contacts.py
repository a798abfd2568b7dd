"""People at sites, their addresses, and the threads that those addresses appear in."""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Reverse
from django.utils.translation import gettext_lazy as _

from guestpost_crm.outreach.models.common import Dated
from guestpost_crm.outreach.models.sites import Site


class Contact(Dated):
    """Somebody who is written to about sites."""

    name = models.CharField(_("name"), max_length=200)
    sites = models.ManyToManyField(Site, related_name="contacts", blank=True, verbose_name=_("sites"))
    notes = models.TextField(_("notes"), max_length=20_000, blank=True)
    do_not_contact = models.BooleanField(_("do not contact"), default=False)
    archived = models.BooleanField(_("archived"), default=False)
    custom = models.JSONField(default=dict, blank=True)

    class Meta:
        db_table = "contact"
        ordering = ("name", "pk")
        indexes = [GinIndex(OpClass("custom", name="jsonb_path_ops"), name="contacts_by_custom_field")]

    def __str__(self) -> str:
        return self.name


class ContactAddress(models.Model):
    """An e-mail address of a contact, lower case; nobody shares one. `canonical` is what it delivers to."""

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="addresses")
    address = models.CharField(max_length=320, unique=True)
    canonical = models.CharField(max_length=320, db_index=True)

    class Meta:
        db_table = "contact_address"
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"address {self.pk}"


class ThreadAddress(models.Model):
    """An address that appears in a thread's headers, written when a message is stored."""

    thread = models.ForeignKey("inbox.Thread", on_delete=models.CASCADE, related_name="addresses")
    address = models.CharField(max_length=320)

    class Meta:
        db_table = "thread_address"
        constraints = [models.UniqueConstraint(fields=["thread", "address"], name="one_address_in_a_thread")]
        # Written backwards, the addresses at a domain and below it stand together.
        indexes = [
            models.Index(fields=["address"], name="threads_of_an_address"),
            models.Index(OpClass(Reverse("address"), name="text_pattern_ops"), name="threads_of_a_domain"),
        ]

    def __str__(self) -> str:
        return f"address {self.pk}"
