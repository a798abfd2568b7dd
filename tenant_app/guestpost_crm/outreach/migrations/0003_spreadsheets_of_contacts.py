"""Spreadsheets hold contacts too. The table keeps its name, which programs of the version before write to."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("outreach", "0002_addresses_of_threads")]
    operations = [
        migrations.RenameModel("SiteImport", "Spreadsheet"),
        migrations.AddField(
            "spreadsheet",
            "target",
            models.CharField(
                choices=[("site", "Sites"), ("contact", "Contacts"), ("order", "Orders")],
                db_default="site",
                default="site",
                max_length=10,
            ),
        ),
    ]
