"""Whose turn it is, with work that ends when it is told to."""

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from app.api.lanes import BACKGROUND_NICE, Lane
from app.errors import BusyError, ClientGoneError
from app.machine import available_cores


def request(disconnects: bool = False) -> Request:
    async def receive() -> Any:
        if not disconnects:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "headers": []}, receive)


def on_lane(work: Callable[[Lane], Awaitable[Any]], **options: Any) -> Any:
    async def run() -> Any:
        lane = Lane(**{"n_workers": 1, "max_queued_px": 1000, "max_wait_s": 30.0} | options)
        try:
            return await work(lane)
        finally:
            lane.close()

    return asyncio.run(run())


async def order_of(lane: Lane, keys: list[str]) -> list[str]:
    """In which order requests are worked on that came in this order, while another one was."""
    go, done = threading.Event(), list[str]()
    held = asyncio.ensure_future(lane.run(request(), "first", 1, lambda: go.wait(30)))
    while not lane.queued_px:
        await asyncio.sleep(0)
    waiting = [asyncio.ensure_future(lane.run(request(), key, 1, partial(done.append, key))) for key in keys]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(held, *waiting)
    return done


def test_keys_take_turns_and_each_keys_own_requests_keep_their_order() -> None:
    order = on_lane(lambda lane: order_of(lane, ["a", "a", "a", "a", "b", "b", "c"]))
    assert order == ["a", "b", "c", "a", "b", "a", "a"]


@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_nobody_waits_for_two_requests_of_another_key(keys: list[str]) -> None:
    order = on_lane(lambda lane: order_of(lane, keys))
    assert sorted(order) == sorted(keys)
    for place, key in enumerate(order):
        later = order[place + 1 :]
        # Between two requests of one key every other key that still waits has its turn.
        if key in later:
            between = later[: later.index(key)]
            assert set(between) == set(later) - {key} or set(later[later.index(key) :]) <= {key} | set(between)


def test_a_key_below_its_share_gets_into_a_queue_that_another_has_filled() -> None:
    async def work(lane: Lane) -> None:
        go = threading.Event()
        held = asyncio.ensure_future(lane.run(request(), "a", 900, lambda: go.wait(30)))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="The queue is full"):
            lane.check("a", 101)
        lane.check("b", 500)
        with pytest.raises(BusyError):
            lane.check("b", 501)
        go.set()
        await held
        # An empty one takes anything.
        lane.check("a", 10**9)
        assert lane.queued_px == 0

    on_lane(work)


def test_who_left_or_waited_too_long_is_passed_over() -> None:
    async def work(lane: Lane) -> None:
        go, done = threading.Event(), []
        held = asyncio.ensure_future(lane.run(request(), None, 1, lambda: go.wait(30)))
        await asyncio.sleep(0)
        with pytest.raises(ClientGoneError):
            await lane.run(request(disconnects=True), None, 1, lambda: done.append("gone"))
        with pytest.raises(BusyError, match="waited too long"):
            await lane.run(request(), None, 1, lambda: done.append("late"))
        cancelled = asyncio.ensure_future(lane.run(request(), None, 1, lambda: done.append("cancelled")))
        await asyncio.sleep(0)
        cancelled.cancel()
        go.set()
        await held
        await lane.run(request(), None, 1, lambda: done.append("next"))
        assert done == ["next"]
        assert lane.queued_px == 0

    on_lane(work, max_wait_s=0.05)


def test_a_turn_that_comes_as_its_request_is_cancelled_goes_to_the_next() -> None:
    async def work(lane: Lane) -> None:
        go = threading.Event()
        held = asyncio.ensure_future(lane.run(request(), "a", 1, lambda: go.wait(30)))
        await asyncio.sleep(0)
        cancelled = asyncio.ensure_future(lane.run(request(), "b", 1, lambda: "cancelled"))
        await asyncio.sleep(0)
        # Both happen before either request goes on.
        lane._pass_on()
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        go.set()
        await held
        assert await asyncio.wait_for(lane.run(request(), "c", 1, lambda: "served"), 30) == "served"

    on_lane(work)


def test_work_that_fails_frees_its_place() -> None:
    async def work(lane: Lane) -> None:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await lane.run(request(), None, 5, lambda: 1 // 0)
        assert lane.queued_px == 0
        assert await lane.run(request(), None, 5, lambda: "served") == "served"

    on_lane(work)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priorities of their own")
def test_the_background_leaves_the_processor_to_others() -> None:
    def nice() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    async def work(lane: Lane) -> int:
        return await lane.run(request(), None, 1, nice)

    before = nice()
    assert on_lane(work) == before
    assert on_lane(work, is_background=True) == max(before, BACKGROUND_NICE)
    assert nice() == before


@pytest.mark.parametrize(
    ("text", "n_cores"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None), ("", None), (None, None)]
)
def test_cores_are_those_of_the_container(text: str | None, n_cores: int | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "cpu.max").write_text(text)
    everything = available_cores(tmp_path / "nothing")
    assert available_cores(tmp_path / "cpu.max") == (n_cores or everything)
    assert everything >= 1
    (tmp_path / "cpu.max").write_text(f"{100_000 * 1000} 100000")
    assert available_cores(tmp_path / "cpu.max") == everything
