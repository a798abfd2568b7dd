"""The mail with a site is found by its domain."""

from django.contrib.postgres.indexes import OpClass
from django.db import migrations, models
from django.db.models.functions import Reverse


class Migration(migrations.Migration):
    dependencies = [("outreach", "0005_custom_fields_in_lists")]
    operations = [
        migrations.AddIndex(
            "threadaddress",
            models.Index(OpClass(Reverse("address"), name="text_pattern_ops"), name="threads_of_a_domain"),
        )
    ]
