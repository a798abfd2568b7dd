"""What the controller holds of a tenant: the newest of what it was told, whoever told it."""

import pytest
from guestpost_operator.lifecycle.entry import Entry


def body(version, state):
    return {
        "metadata": {"name": "acme", "uid": "u1", "resourceVersion": str(version)},
        "spec": {"state": state},
    }


@pytest.mark.parametrize(("answer", "state"), [(100, "Hibernated"), (102, "Running")])
def test_an_answer_that_comes_late_takes_nothing_back(answer, state):
    """A status is written, a person changes the spec, kopf tells of it, and only then the answer is there."""
    entry = Entry.of(body(99, "Running"))
    entry.body = body(101, "Hibernated")
    entry.answered(body(answer, "Running"))
    assert entry.body["spec"]["state"] == state
