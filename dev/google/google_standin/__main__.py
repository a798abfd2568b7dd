"""`python -m google_standin`: serve on a port, for the demo and the local cluster."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import uvicorn
from aiosmtpd.controller import Controller

from google_standin.app import create
from google_standin.oauth import Client


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--issuer", default="http://google.localhost:8080", help="address in browsers")
    parser.add_argument(
        "--clients", type=Path, help="JSON file: {id: {client_secret, redirect_uris, project}}"
    )
    parser.add_argument("--smtp-port", type=int, help="serve the SMTP relay on this port too, without TLS")
    options = parser.parse_args()
    application = create(options.issuer, os.environ.get("PUBSUB_EMULATOR_HOST", ""))
    if options.clients:
        for identifier, client in json.loads(options.clients.read_text(encoding="utf-8")).items():
            application.state.standin.oauth.clients[identifier] = Client(
                identifier, client["client_secret"], tuple(client["redirect_uris"]), client.get("project", "")
            )
    if options.smtp_port:
        relay = application.state.standin.relay
        Controller(relay, hostname=options.host, port=options.smtp_port).start()
    uvicorn.run(application, host=options.host, port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
