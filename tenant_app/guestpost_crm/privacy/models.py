"""What people have agreed to."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class PolicyAcceptance(models.Model):
    """A person went on using the CRM after a version of the policy was shown."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="policies")
    version = models.PositiveIntegerField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "policy_acceptance"
        constraints = [models.UniqueConstraint(fields=["person", "version"], name="accepted_once")]

    def __str__(self) -> str:
        return f"version {self.version}"
