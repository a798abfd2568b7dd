"""Who is looked at next: each waits once, changes go first, and nothing waits for ever."""

from __future__ import annotations

import asyncio

from guestpost_operator.lifecycle.queue import DUE_EVERY, Queue
from hypothesis import given
from hypothesis import strategies as st


async def taken(queue: Queue) -> list[str]:
    """All that wait, in order."""
    return [await asyncio.wait_for(queue.take(), 1) for _ in range(len(queue))]


async def test_what_has_changed_goes_before_what_is_due() -> None:
    queue = Queue()
    for number in range(20):
        queue.put(f"due{number}", changed=False)
    queue.put("edited", changed=True)
    queue.put("due7", changed=True)
    order = await taken(queue)
    assert order[:2] == ["edited", "due7"]
    assert order[2:] == [f"due{number}" for number in range(20) if number != 7]


async def test_a_storm_of_changes_leaves_turns_for_what_is_due() -> None:
    queue = Queue()
    for number in range(100):
        queue.put(f"changed{number}", changed=True)
        queue.put(f"due{number}", changed=False)
    first = (await taken(queue))[:80]
    assert sum(each.startswith("due") for each in first) == 80 // DUE_EVERY


async def test_who_takes_waits_for_what_comes() -> None:
    queue = Queue()
    taking = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    queue.put("late", changed=False)
    assert await asyncio.wait_for(taking, 1) == "late"
    assert "late" not in queue


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([True, False, None]))))
def test_each_waits_once_until_it_is_taken(steps: list[tuple[str, bool | None]]) -> None:
    """None takes one, if there is one."""

    async def run() -> None:
        queue, waiting = Queue(), set()
        for uid, changed in steps:
            if changed is not None:
                queue.put(uid, changed=changed)
                waiting.add(uid)
            elif waiting:
                waiting.remove(await asyncio.wait_for(queue.take(), 1))
            assert len(queue) == len(waiting)
            assert all(each in queue for each in waiting)
        assert sorted(await taken(queue)) == sorted(waiting)

    asyncio.run(run())
