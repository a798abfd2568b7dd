from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('gmail', '0003_complete_mail'),
    ]

    operations = [
        migrations.AddField(
            model_name='mailbox',
            name='labels_due',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
