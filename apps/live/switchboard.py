"""The calls in progress, and the screens that watch them."""

import asyncio
import json
import math
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from helpers.conversation.live import MoodNow

HISTORY = 480
"""Moods of a call that a screen gets when it connects: the two minutes that it draws, at most four
moods a second."""

MOST_WAITING = 200
"""Messages that wait for a slow screen; after more, it gets the state of all calls instead."""


class CallName(NamedTuple):
    """What a call goes by.

    Attributes:
        stream: identifier, another one for each call in progress
        call: identifier in the phone system
        agent: who speaks with the customer, empty where nobody said
    """

    stream: str
    call: str
    agent: str


@dataclass
class _Call:
    name: CallName
    mood: dict | None = None
    history: deque = field(default_factory=lambda: deque(maxlen=HISTORY))
    problems: dict[str, str] = field(default_factory=dict)

    def tell(self) -> dict[str, object]:
        return {
            **self.name._asdict(),
            "mood": self.mood,
            "history": list(self.history),
            "problems": list(self.problems.values()),
        }


class Watcher:
    """What one screen has still to be told; however slow it is, nobody waits for it."""

    def __init__(self, switchboard: "Switchboard") -> None:
        self._switchboard = switchboard
        self._waiting: deque[str] = deque()
        self._is_behind = True
        self._news = asyncio.Event()
        self._news.set()

    def put(self, text: str) -> None:
        """Let a message wait for the screen."""
        if len(self._waiting) >= MOST_WAITING:
            self.start_over()
        if not self._is_behind:
            self._waiting.append(text)
            self._news.set()

    def start_over(self) -> None:
        """Let the state of all calls be the next message, instead of all that waits."""
        self._waiting.clear()
        self._is_behind = True
        self._news.set()

    async def next(self) -> str:
        """Wait for the next message: the state of all calls first, then what changes."""
        await self._news.wait()
        if self._is_behind:
            self._is_behind = False
            text = self._switchboard.tell_all()
        else:
            text = self._waiting.popleft()
        if not self._waiting:
            self._news.clear()
        return text


class Switchboard:
    """Knows the calls in progress and tells all screens what changes.

    Attributes:
        banner: what has to be said beside every mood
    """

    def __init__(self) -> None:
        self.banner = ""
        self._calls: dict[str, _Call] = {}
        self._watchers: set[Watcher] = set()

    def __len__(self) -> int:
        """Count the calls in progress."""
        return len(self._calls)

    @property
    def watchers(self) -> int:
        """Count the screens."""
        return len(self._watchers)

    def begin(self, stream: str, call: str, agent: str) -> CallName:
        """Note that a call begins.

        Returns:
            its name, with a number behind the identifier of a stream that is in progress already
        """
        names = (stream if number == 1 else f"{stream} ({number})" for number in count(1))
        name = CallName(next(each for each in names if each not in self._calls), call, agent)
        self._calls[name.stream] = _Call(name)
        self._tell("call started", name)
        return name

    def tell_mood(self, name: CallName, mood: MoodNow) -> dict[str, object]:
        """Tell all screens how upset the customer sounds; gives the message."""
        told = {
            "at_s": mood.at_s,
            "upset": round(mood.upset, 3),
            "alert": mood.is_alert,
            "alert_since_s": None if math.isnan(mood.alert_since_s) else mood.alert_since_s,
        }
        call = self._calls[name.stream]
        call.mood = told
        call.history.append((told["at_s"], told["upset"]))
        return self._tell("mood", name, **told)

    def tell_problem(self, name: CallName, kind: str, words: str) -> dict[str, object]:
        """Tell all screens what is wrong with a call; gives the message."""
        self._calls[name.stream].problems[kind] = words
        return self._tell("problem", name, kind=kind, words=words)

    def end_problem(self, name: CallName, kind: str) -> dict[str, object]:
        """Tell all screens that a problem of a call is over; gives the message."""
        words = self._calls[name.stream].problems.pop(kind)
        return self._tell("problem over", name, kind=kind, words=words)

    def end(self, name: CallName, reason: str) -> None:
        """Note that a call is over."""
        del self._calls[name.stream]
        self._tell("call ended", name, reason=reason)

    def tell_all(self) -> str:
        """Give the state of all calls as a message."""
        calls = [call.tell() for call in self._calls.values()]
        return json.dumps({"event": "calls", "banner": self.banner, "calls": calls})

    def set_banner(self, banner: str) -> None:
        """Change what has to be said beside every mood, on all screens."""
        if banner != self.banner:
            self.banner = banner
            for watcher in self._watchers:
                watcher.start_over()

    def connect(self) -> Watcher:
        """Let a screen watch."""
        watcher = Watcher(self)
        self._watchers.add(watcher)
        return watcher

    def disconnect(self, watcher: Watcher) -> None:
        """Let a screen go."""
        self._watchers.discard(watcher)

    def _tell(self, event: str, name: CallName, **facts: object) -> dict[str, object]:
        message = {"event": event, **name._asdict(), **facts}
        text = json.dumps(message)
        for watcher in self._watchers:
            watcher.put(text)
        return message
