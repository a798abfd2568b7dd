"""Gmail's stand-in, driven by google-api-python-client."""

from __future__ import annotations

import base64
import threading
import uuid
from email.message import EmailMessage
from typing import Any

import pytest
from google.iam.v1 import policy_pb2
from google_standin.testing import GoogleStandin
from googleapiclient.errors import HttpError

PUSH = "serviceAccount:gmail-api-push@system.gserviceaccount.com"


def mail(subject: str = "Guest post", **headers: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.org", subject
    message["Message-ID"] = f"<{uuid.uuid4().hex}@example.com>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("Hello there")
    message.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="offer.pdf")
    return message.as_bytes()


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def failing(call: Any) -> HttpError:
    with pytest.raises(HttpError) as refused:
        call.execute()
    return refused.value


def test_a_message_is_given_back_byte_for_byte(google: GoogleStandin, person) -> None:
    raw = mail()
    identifier = google.control.deliver(person.email, raw)["id"]
    messages = person.gmail().users().messages()
    got = messages.get(userId="me", id=identifier, format="raw").execute()
    assert base64.urlsafe_b64decode(got["raw"]) == raw
    full = messages.get(userId="me", id=identifier).execute()
    attachment = full["payload"]["parts"][1]
    assert attachment["filename"] == "offer.pdf"
    data = messages.attachments().get(
        userId="me", messageId=identifier, id=attachment["body"]["attachmentId"]
    )
    assert base64.urlsafe_b64decode(data.execute()["data"]) == b"%PDF-1.4"
    meta = messages.get(userId="me", id=identifier, format="metadata", metadataHeaders=["Subject"]).execute()
    assert meta["payload"]["headers"] == [{"name": "Subject", "value": "Guest post"}]


def test_lists_come_in_pages_the_newest_first(google: GoogleStandin, person) -> None:
    ids = [
        google.control.deliver(person.email, mail(str(n)), internalDate=1_000_000 + n)["id"] for n in range(7)
    ]
    messages = person.gmail().users().messages()
    seen: list[str] = []
    request = messages.list(userId="me", maxResults=3)
    while request is not None:
        answer = request.execute()
        seen += [item["id"] for item in answer["messages"]]
        request = messages.list_next(request, answer)
    assert seen == list(reversed(ids))


def test_history_tells_every_change_and_expires(google: GoogleStandin, person) -> None:
    gmail = person.gmail()
    start = gmail.users().getProfile(userId="me").execute()["historyId"]
    one = google.control.deliver(person.email, mail())["id"]
    google.control.relabel(person.email, one, remove=("UNREAD",), add=("STARRED",))
    google.control.delete(person.email, one)
    answer = gmail.users().history().list(userId="me", startHistoryId=start).execute()
    kinds = [next(key for key in record if key not in ("id", "messages")) for record in answer["history"]]
    assert kinds == ["messagesAdded", "labelsAdded", "labelsRemoved", "messagesDeleted"]
    google.control.expire_history(person.email)
    assert failing(gmail.users().history().list(userId="me", startHistoryId=start)).status_code == 404


def test_a_reply_joins_its_thread_only_when_headers_and_subject_agree(google: GoogleStandin, person) -> None:
    raw = mail("Rates")
    first = google.control.deliver(person.email, raw)
    original = next(line for line in raw.decode().splitlines() if line.startswith("Message-ID"))
    reference = original.partition(": ")[2]
    messages = person.gmail().users().messages()
    good = mail("Re: Rates", In_Reply_To=reference, References=reference)
    body = {"raw": encoded(good), "threadId": first["threadId"]}
    joined = messages.send(userId="me", body=body).execute()
    assert joined["threadId"] == first["threadId"]
    stranger = {"raw": encoded(mail("Something else")), "threadId": first["threadId"]}
    assert messages.send(userId="me", body=stranger).execute()["threadId"] != first["threadId"]


def test_sent_mail_gets_gmails_own_message_id(google: GoogleStandin, person) -> None:
    sent = person.gmail().users().messages().send(userId="me", body={"raw": encoded(mail())}).execute()
    raw = google.control.raw(person.email, sent["id"]).decode()
    assert "@mail.gmail.com>" in raw
    assert "X-Google-Original-Message-ID:" in raw


def test_scopes_are_enforced(person) -> None:
    gmail = person.gmail("openid https://www.googleapis.com/auth/gmail.send")
    refused = failing(gmail.users().getProfile(userId="me"))
    assert refused.status_code == 403
    assert refused.error_details[0]["reason"] == "insufficientPermissions"


def test_the_quota_is_counted_and_refuses(google: GoogleStandin, person) -> None:
    gmail = person.gmail()
    google.control.settings(quotaUnitsPerMinute=12)
    try:
        profile = gmail.users().getProfile(userId="me")
        profile.execute()
        profile.execute()
        refused = failing(profile)
    finally:
        google.control.settings(quotaUnitsPerMinute=6000)
    assert refused.status_code == 429
    assert refused.error_details[0]["reason"] == "rateLimitExceeded"
    usage = google.control.usage()["accounts"][person.email]
    assert usage["units"] == {"getProfile": 10}
    assert usage["refused"] == 1


def test_faults_come_when_asked_for(google: GoogleStandin, person) -> None:
    gmail = person.gmail()
    google.control.fault("getProfile", account=person.email, status=503)
    assert failing(gmail.users().getProfile(userId="me")).status_code == 503
    gmail.users().getProfile(userId="me").execute()
    google.control.fault("messages.send", account=person.email, drop="after")
    with pytest.raises(Exception, match=r"."):
        gmail.users().messages().send(userId="me", body={"raw": encoded(mail())}).execute()
    assert len(google.control.messages(person.email)) == 1


def test_a_watch_publishes_and_needs_the_topics_permission(google: GoogleStandin, person) -> None:
    assert google.pubsub is not None
    publisher, subscriber = google.pubsub.publisher(), google.pubsub.subscriber()
    name = uuid.uuid4().hex
    topic, subscription = f"projects/p/topics/t{name}", f"projects/p/subscriptions/s{name}"
    publisher.create_topic(request={"name": topic})
    subscriber.create_subscription(request={"name": subscription, "topic": topic})
    users = person.gmail().users()
    watch = users.watch(userId="me", body={"topicName": topic})
    assert failing(watch).status_code == 403
    binding = policy_pb2.Binding(role="roles/pubsub.publisher", members=[PUSH])
    publisher.set_iam_policy(request={"resource": topic, "policy": policy_pb2.Policy(bindings=[binding])})

    received: list[bytes] = []
    two = threading.Event()

    def take(message: Any) -> None:
        received.append(message.data)
        message.ack()
        if len(received) == 2:
            two.set()

    pulling = subscriber.subscribe(subscription, callback=take)
    assert int(watch.execute()["expiration"]) > 0
    google.control.deliver(person.email, mail())
    assert two.wait(10)
    pulling.cancel()
    assert all(person.email.encode() in data for data in received)
    other = users.watch(userId="me", body={"topicName": "projects/p/topics/other"})
    assert "Only one user push notification client" in str(failing(other))
    users.stop(userId="me").execute()
    assert person.email not in google.control.usage()["watches"]


def test_a_batch_answers_each_part(google: GoogleStandin, person) -> None:
    gmail = person.gmail()
    identifier = google.control.deliver(person.email, mail())["id"]
    batch = gmail.new_batch_http_request()
    batch._batch_uri = f"{google.url}/batch/gmail/v1"
    answers: dict[str, Any] = {}

    def take(request_id: str, response: Any, exception: Any) -> None:
        answers[request_id] = response or exception

    messages = gmail.users().messages()
    batch.add(messages.get(userId="me", id=identifier, format="minimal"), callback=take, request_id="a")
    batch.add(messages.get(userId="me", id="ffff", format="minimal"), callback=take, request_id="b")
    batch.execute()
    assert answers["a"]["id"] == identifier
    assert answers["b"].status_code == 404
