"""What a team adds for itself: fields and views."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _


class Target(models.TextChoices):
    """What custom fields can be added to."""

    SITE = "site", _("Sites")
    CONTACT = "contact", _("Contacts")
    ORDER = "order", _("Orders")


class Kind(models.TextChoices):
    """What a custom field holds."""

    TEXT = "text", _("Text")
    NUMBER = "number", _("Number")
    DATE = "date", _("Date")
    CHOICE = "choice", _("Choice")
    YES_NO = "yes_no", _("Yes or no")
    URL = "url", _("Address of a page")


class CustomField(models.Model):
    """A field of a team's own. Records keep its value under `key`, which never changes."""

    target = models.CharField(_("for"), max_length=10, choices=Target.choices)
    key = models.CharField(max_length=40, validators=[RegexValidator(r"^[a-z][a-z0-9_]*$")], editable=False)
    label = models.CharField(_("label"), max_length=60)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices, default=Kind.TEXT)
    choices = models.JSONField(default=list, blank=True)
    required = models.BooleanField(_("required"), default=False)
    archived = models.BooleanField(_("archived"), default=False)
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    class Meta:
        db_table = "custom_field"
        ordering = ("target", "position", "pk")
        constraints = [models.UniqueConstraint(fields=["target", "key"], name="one_field_of_a_key")]

    def __str__(self) -> str:
        return self.label


class SavedView(models.Model):
    """A list with its filters, under a name. `page` is the name of the list's address."""

    page = models.CharField(max_length=20)
    name = models.CharField(_("name"), max_length=60)
    query = models.CharField(max_length=2000, blank=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views")
    shared = models.BooleanField(_("for the whole team"), default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "saved_view"
        ordering = ("name", "pk")
        constraints = [models.UniqueConstraint(fields=["owner", "page", "name"], name="one_view_of_a_name")]

    def __str__(self) -> str:
        return self.name
