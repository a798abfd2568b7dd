"""Temporary files on disk: a few at a time, none twice for one request, and all of them fit."""

from __future__ import annotations

import threading

import pytest
from guestpost_crm.web.scratch import AT_ONCE, LARGEST, BusyError, Room

# As the pods have it (operator/guestpost_operator/manifests/macros.j2).
FOLDER = 256 << 20
FILES = 25 << 20


def test_the_most_that_can_lie_there_fits() -> None:
    composed = FILES * 4 // 3 * 78 // 76 + (3 << 20)
    assert AT_ONCE * (LARGEST + composed) < FOLDER


def test_others_wait_and_are_told_when_it_takes_too_long() -> None:
    room = Room(at_once=1, patience=0.05)
    refused = []

    def other() -> None:
        try:
            with room.taken():
                pass
        except BusyError:
            refused.append(True)

    with room.taken():
        waiting = threading.Thread(target=other)
        waiting.start()
        waiting.join(10)
    assert refused == [True]
    with room.taken():
        pass


def test_who_has_room_waits_for_nobody() -> None:
    room = Room(at_once=1, patience=0)
    with room.taken(), room.taken():
        pass
    with room.taken(), pytest.raises(ZeroDivisionError):
        raise ZeroDivisionError
    with room.taken():
        pass
