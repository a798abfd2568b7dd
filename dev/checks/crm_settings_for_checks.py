"""The CRM's settings with an environment that opens nothing, for mypy's Django plugin."""

import base64
import os
from pathlib import Path

# mypy ends without cleaning up, so a folder that stays.
_folder = Path(__file__).parents[2] / ".mypy_cache/crm-settings"
_folder.mkdir(parents=True, exist_ok=True)
for _name, _content in (("secret", b"x" * 50), ("key", base64.b64encode(b"k" * 32)), ("token", b"t")):
    (_folder / _name).write_bytes(_content)
os.environ.update(
    {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "PUBLIC_URL": "https://crm.example",
        "TENANT_NAME": "checks",
        "TENANT_UID": "checks",
        "OWNER_EMAIL": "owner@crm.example",
        "DJANGO_SECRET_KEY_FILE": str(_folder / "secret"),
        "TENANT_KEY_FILE": str(_folder / "key"),
        "PUBSUB_TOPIC": "projects/p/topics/t",
        "PUBSUB_SUBSCRIPTION": "projects/p/subscriptions/s",
        "GOOGLE_CLIENT_ID": "checks",
        "BROKER_URL": "https://broker.example",
        "BROKER_TOKEN_FILE": str(_folder / "token"),
    }
)

from guestpost_crm.settings import *  # noqa: E402, F403 - the environment has to stand first
