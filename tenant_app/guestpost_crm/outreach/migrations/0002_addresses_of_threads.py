"""Mail that was stored before this app was there gets its addresses."""

from django.db import migrations

from guestpost_crm.outreach.services.addresses import of_message


def fill(apps, schema_editor):
    messages = apps.get_model("inbox", "Message").objects.only(
        "thread_id", "sender", "reply_to", "recipients", "copies"
    )
    rows = apps.get_model("outreach", "ThreadAddress")
    for message in messages.order_by("pk").iterator(chunk_size=500):
        found = [rows(thread_id=message.thread_id, address=each) for each in of_message(message)]
        rows.objects.bulk_create(found, ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [("outreach", "0001_initial")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
