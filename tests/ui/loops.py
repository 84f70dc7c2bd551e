"""Gradio 6.31 makes an event loop for each Blocks and never closes it, which Python says aloud."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch


@contextmanager
def closed_event_loops() -> Iterator[None]:
    """Closes, at its end, the event loops that were made inside and do not run."""
    made: list[asyncio.AbstractEventLoop] = []
    make = asyncio.new_event_loop

    def remember() -> asyncio.AbstractEventLoop:
        made.append(make())
        return made[-1]

    with patch("asyncio.new_event_loop", remember):
        yield
    asyncio.set_event_loop(None)
    for loop in made:
        if not loop.is_running():
            loop.close()
