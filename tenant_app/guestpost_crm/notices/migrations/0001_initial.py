"""Notices on their way."""

import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

KINDS = (
    "invitation", "link-lost", "mailbox-stopped", "support-asks", "erasure-asked", "erasure-taken-back",
    "erasure-near", "export-downloaded", "webhook-stopped", "role-changed", "access-ended", "token-made",
    "factor-set-up", "factor-removed", "factor-reset", "factor-locked", "code-used",
)


class Migration(migrations.Migration):
    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("kind", models.CharField(choices=[(each, each) for each in KINDS], max_length=20)),
                ("address", models.EmailField(max_length=320)),
                ("language", models.CharField(blank=True, max_length=10)),
                ("subject", models.CharField(blank=True, max_length=120)),
                ("detail", models.JSONField(default=dict)),
                ("once", models.CharField(blank=True, max_length=120)),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("sent", "Sent"), ("failed", "Given up")],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("problem", models.CharField(blank=True, max_length=40)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("next_at", models.DateTimeField(null=True)),
                ("done_at", models.DateTimeField(null=True)),
                (
                    "person",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "db_table": "notice",
                "ordering": ("-created_at",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("next_at__isnull", False)), fields=["next_at"], name="notices_due"
                    ),
                    models.Index(fields=["subject"], name="notices_by_subject"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("once", ""), _negated=True),
                        fields=("once",),
                        name="one_notice_of_a_moment",
                    )
                ],
            },
        ),
    ]
