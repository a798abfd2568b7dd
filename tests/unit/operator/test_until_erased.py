"""An erasure is tried until it is through, without anything having to be written down for it."""

import pytest
from guestpost_operator.handlers import tenants
from guestpost_operator.lifecycle.erasing import NotErasedError


class Stubborn:
    """An erasure that does not come through at first."""

    def __init__(self, *errors):
        self.errors, self.tries = list(errors), 0

    async def erase(self, body):
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)


@pytest.mark.parametrize(
    "errors",
    [(), (NotErasedError("Messaging: away"),) * 9, (NotErasedError("Volumes: left"), ValueError("a bug"))],
    ids=["at once", "late", "with a bug"],
)
async def test_it_is_tried_until_it_is_through(errors):
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    erasure = Stubborn(*errors)
    await tenants.until_erased(erasure, {"metadata": {"name": "acme"}}, sleep)
    assert (erasure.tries, erasure.errors) == (len(errors) + 1, [])
    assert waited == [min(2.0 * 2**n, 60.0) for n in range(len(errors))]
