"""Whether people are written to about lost links."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_support_role")]
    operations = [
        migrations.AddField("person", "mail_lost_links", models.BooleanField(db_default=True, default=True)),
    ]
