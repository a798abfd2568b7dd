"""Lists are narrowed by custom fields."""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import migrations


def by_custom_field(name):
    return GinIndex(OpClass("custom", name="jsonb_path_ops"), name=name)


class Migration(migrations.Migration):
    dependencies = [("outreach", "0004_draft_files")]
    operations = [
        migrations.AddIndex("site", by_custom_field("sites_by_custom_field")),
        migrations.AddIndex("contact", by_custom_field("contacts_by_custom_field")),
        migrations.AddIndex("order", by_custom_field("orders_by_custom_field")),
    ]
