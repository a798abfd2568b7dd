"""Data keys, wrapped by the tenant's key."""

from __future__ import annotations

from django.db import models


class DataKey(models.Model):
    """A key that encrypts data; only its wrapped form is stored.

    Rotating the tenant's key re-wraps these few bytes and touches no mail (envelope encryption).
    """

    wrapped = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "data_key"

    def __str__(self) -> str:
        return f"data key {self.pk}"
