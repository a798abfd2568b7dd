"""Gmail's stand-in, driven by google-api-python-client."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from email.message import EmailMessage
from typing import Any

import pytest
from google.iam.v1 import policy_pb2
from google_standin.quota import UNITS
from google_standin.testing import GoogleStandin
from googleapiclient.errors import HttpError

REDIRECT = "http://broker.localhost/oauth/callback"
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


@pytest.fixture
def topic(google: GoogleStandin) -> str:
    """A topic that Gmail may publish to."""
    assert google.pubsub is not None
    name = f"projects/p/topics/t{uuid.uuid4().hex}"
    publisher = google.pubsub.publisher()
    publisher.create_topic(request={"name": name})
    binding = policy_pb2.Binding(role="roles/pubsub.publisher", members=[PUSH])
    publisher.set_iam_policy(request={"resource": name, "policy": policy_pb2.Policy(bindings=[binding])})
    return name


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


def test_mail_that_comes_and_goes_moves_no_page(google: GoogleStandin, person) -> None:
    """A page token names a place: nothing is passed over and nothing comes twice."""
    ids = [
        google.control.deliver(person.email, mail(str(n)), internalDate=1_000_000 + n)["id"] for n in range(6)
    ]
    messages = person.gmail().users().messages()
    request = messages.list(userId="me", maxResults=2)
    first = request.execute()
    google.control.delete(person.email, ids[5])
    google.control.deliver(person.email, mail("new"), internalDate=2_000_000)
    second = messages.list_next(request, first).execute()
    listed = [[item["id"] for item in answer["messages"]] for answer in (first, second)]
    assert listed == [[ids[5], ids[4]], [ids[3], ids[2]]]
    assert failing(messages.list(userId="me", pageToken="17")).status_code == 400


def test_labels_are_listed_and_counted(google: GoogleStandin, person) -> None:
    google.control.deliver(person.email, mail(), labelIds=["INBOX"], labels=["Publishers"])
    google.control.deliver(person.email, mail(), labelIds=["INBOX"])
    labels = person.gmail().users().labels()
    own = [item for item in labels.list(userId="me").execute()["labels"] if item["type"] == "user"]
    assert [item["name"] for item in own] == ["Publishers"]
    got = labels.get(userId="me", id=own[0]["id"]).execute()
    assert (got["name"], got["messagesTotal"]) == ("Publishers", 1)
    assert labels.get(userId="me", id="INBOX").execute()["messagesTotal"] == 2
    assert failing(labels.get(userId="me", id="Label_99")).status_code == 404


def test_threads_hold_their_messages_the_oldest_first(google: GoogleStandin, person) -> None:
    first = google.control.deliver(person.email, mail("Rates"), internalDate=1_000)
    google.control.deliver(person.email, mail("Re: Rates"), internalDate=2_000, threadId=first["threadId"])
    google.control.deliver(person.email, mail("Other"), internalDate=3_000)
    threads = person.gmail().users().threads()
    assert len(threads.list(userId="me").execute()["threads"]) == 2
    got = threads.get(userId="me", id=first["threadId"], format="metadata").execute()
    subjects = [
        header["value"]
        for message in got["messages"]
        for header in message["payload"]["headers"]
        if header["name"] == "Subject"
    ]
    assert subjects == ["Rates", "Re: Rates"]
    assert failing(threads.get(userId="me", id="ffff")).status_code == 404


def test_searches_find_as_gmail_does(google: GoogleStandin, person) -> None:
    raw = mail("Prices for May")
    identifier = google.control.deliver(person.email, raw, internalDate=1_700_000_000_000)["id"]
    message_id = next(line for line in raw.decode().splitlines() if line.startswith("Message-ID"))
    google.control.deliver(person.email, mail("Draft"), labelIds=["DRAFT"])
    messages = person.gmail().users().messages()

    def found(query: str) -> list[str]:
        return [item["id"] for item in messages.list(userId="me", q=query).execute().get("messages", [])]

    for query in (f"rfc822msgid:{message_id.partition(': ')[2]}", "subject:prices", "-in:drafts",
                  "before:2024/01/01", "from:a@example.com prices"):  # fmt: skip
        assert found(query) == [identifier], query
    assert found("after:2024/01/01 subject:prices") == []


def test_a_message_is_inserted_where_the_scope_allows_it(google: GoogleStandin, person) -> None:
    body = {"raw": encoded(mail("Inserted")), "labelIds": ["INBOX"]}
    refused = failing(person.gmail().users().messages().insert(userId="me", body=body))
    assert refused.status_code == 403
    allowed = person.gmail("https://www.googleapis.com/auth/gmail.insert").users().messages()
    assert allowed.insert(userId="me", body=body).execute()["labelIds"] == ["INBOX"]
    assert [message["subject"] for message in google.control.messages(person.email)] == ["Inserted"]


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


def test_the_metadata_scope_gives_no_content_and_no_search(google: GoogleStandin, person) -> None:
    identifier = google.control.deliver(person.email, mail())["id"]
    messages = person.gmail("https://www.googleapis.com/auth/gmail.metadata").users().messages()
    assert messages.get(userId="me", id=identifier, format="metadata").execute()["payload"]["headers"]
    for form in ("full", "raw"):
        assert failing(messages.get(userId="me", id=identifier, format=form)).status_code == 403
    assert failing(messages.list(userId="me", q="rates")).status_code == 403


def test_a_projects_clients_share_its_quota_and_no_other_projects(google: GoogleStandin, person) -> None:
    for client, project in (("one", "project-a"), ("two", "project-a"), ("three", "project-b")):
        google.control.client(client, "secret", REDIRECT, project=project)
    calls = {
        client: person.gmail(client_id=client).users().getProfile(userId="me")
        for client in ("one", "two", "three")
    }
    google.control.settings(projectUnitsPerMinute=9)
    try:
        calls["one"].execute()
        assert failing(calls["two"]).status_code == 429
        calls["three"].execute()
    finally:
        google.control.settings(projectUnitsPerMinute=1_200_000)


def test_every_call_that_costs_something_is_served_and_counted(
    google: GoogleStandin, person, topic: str
) -> None:
    """By its own name, with the units that Gmail's page of quotas gives it."""
    arrived = google.control.deliver(person.email, mail())
    identifier = arrived["id"]
    google.control.forget_usage()
    users = person.gmail("https://mail.google.com/").users()
    me, raw = {"userId": "me"}, {"raw": encoded(mail())}
    calls = {
        "getProfile": users.getProfile(**me),
        "history.list": users.history().list(**me, startHistoryId=arrived["historyId"]),
        "labels.get": users.labels().get(**me, id="INBOX"),
        "labels.list": users.labels().list(**me),
        "messages.attachments.get": users.messages()
        .attachments()
        .get(**me, messageId=identifier, id="ANGjdJ1"),
        "messages.get": users.messages().get(**me, id=identifier),
        "messages.insert": users.messages().insert(**me, body=raw),
        "messages.list": users.messages().list(**me),
        "messages.modify": users.messages().modify(**me, id=identifier, body={"addLabelIds": ["STARRED"]}),
        "messages.send": users.messages().send(**me, body=raw),
        "stop": users.stop(**me),
        "threads.get": users.threads().get(**me, id=identifier),
        "threads.list": users.threads().list(**me),
        "watch": users.watch(**me, body={"topicName": topic}),
    }
    for call in calls.values():
        call.execute()
    usage = google.control.usage()["accounts"][person.email]
    assert usage["calls"] == dict.fromkeys(calls, 1)
    assert usage["units"] == UNITS
    assert usage["totalUnits"] == sum(UNITS.values())


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


def test_notifications_are_lost_doubled_and_late_when_asked_for(
    google: GoogleStandin, person, topic: str
) -> None:
    assert google.pubsub is not None
    subscriber, subscription = google.pubsub.subscriber(), f"projects/p/subscriptions/s{uuid.uuid4().hex}"
    person.gmail().users().watch(userId="me", body={"topicName": topic}).execute()
    # After the notification that a watch begins with.
    subscriber.create_subscription(request={"name": subscription, "topic": topic})
    google.control.settings(notificationsPerSecond=None)
    try:
        google.control.fault("notification", account=person.email, drop="before")
        google.control.fault("notification", account=person.email, copies=2)
        google.control.fault("notification", account=person.email, latency=0.5)
        histories = [int(google.control.deliver(person.email, mail())["historyId"]) for _ in range(4)]
    finally:
        google.control.settings(notificationsPerSecond=1)
    came: list[int] = []
    deadline = time.monotonic() + 10
    while len(came) < 4 and time.monotonic() < deadline:
        pulled = subscriber.pull(request={"subscription": subscription, "max_messages": 10}, timeout=5)
        came += [json.loads(each.message.data)["historyId"] for each in pulled.received_messages]
        acknowledged = [each.ack_id for each in pulled.received_messages]
        subscriber.acknowledge(request={"subscription": subscription, "ack_ids": acknowledged})
    lost, doubled, late, usual = histories
    assert sorted(came) == sorted([doubled, doubled, late, usual])
    assert came[-1] == late, "it tells of what was told before"
    assert lost not in came


def test_a_watch_ends_when_its_time_is_over(google: GoogleStandin, person, topic: str) -> None:
    person.gmail().users().watch(userId="me", body={"topicName": topic}).execute()
    assert google.control.usage()["watches"][person.email] == [topic]
    google.control.expire_watch(person.email)
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


def test_a_restart_forgets_all_mail_and_no_id_comes_twice() -> None:
    def arrived() -> dict[str, Any]:
        with GoogleStandin(pubsub=False) as running:
            running.control.account("anna@acme.example", "Anna")
            return dict(running.control.deliver("anna@acme.example", mail()))

    before, after = arrived(), arrived()
    assert int(after["id"], 16) > int(before["id"], 16)
    assert int(after["historyId"]) > int(before["historyId"])
