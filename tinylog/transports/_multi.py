"""One libcurl "multi" for all threads: whoever waits for an answer drives everybody's transfers.

libcurl multiplexes requests over one connection only within one multi handle, which one thread at a time may use
(https://curl.se/libcurl/c/threadsafe.html). A thread of its own would be one that a fork loses and that cannot be
started as Python exits. So the first thread that sends drives, those that come meanwhile hand their transfer over and
wait, and when the driver has its answer, one of them takes its place.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import deque
from typing import Any, Protocol

import pycurl

__all__ = ["Multi", "Transfer"]

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_INTEREST = {pycurl.POLL_IN: _READ, pycurl.POLL_OUT: _WRITE, pycurl.POLL_INOUT: _READ | _WRITE}
_LONGEST_POLL = 1.0  # seconds; libcurl's own timers come earlier


class Transfer(Protocol):
    """One request on its way.

    Attributes:
        easy: libcurl's handle of it.
        done: whether it has ended.
    """

    easy: Any
    done: bool

    def finished(self, code: int, words: str) -> None:
        """Take the end: 0, or the number of libcurl's error and what libcurl says."""


class Multi:
    """Runs transfers for several threads at once. See https://curl.se/libcurl/c/curl_multi_socket_action.html."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._driven = self._closing = self._closed = False
        self._arrivals: deque[Transfer] = deque()
        self._given_up: deque[Transfer] = deque()
        self._running: dict[Any, Transfer] = {}
        self._due: float | None = None
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)
        self._selector.register(self._woken, _READ)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)

    def run(self, transfer: Transfer) -> bool:
        """Bring a transfer to its end; false if this is closed already."""
        try:
            with self._changed:
                if self._closed:
                    return False
                self._arrivals.append(transfer)
                self._wake()
                while self._driven and not transfer.done:
                    self._changed.wait()
                if transfer.done:
                    return True
                self._driven = True
            self._take_the_wheel(transfer)
            return True
        finally:
            if not transfer.done:  # Ctrl-C
                self._given_up.append(transfer)

    def close(self) -> None:
        """Close the connections, at once or when the last transfer has ended."""
        with self._changed:
            self._closing = True
            if not self._driven and not self._closed:
                self._release()

    def _take_the_wheel(self, transfer: Transfer) -> None:
        try:
            while not transfer.done:
                self._step()
        finally:
            with self._changed:
                self._driven = False
                if self._closing and not self._running and not self._arrivals:
                    self._release()
                self._changed.notify_all()

    def _step(self) -> None:
        """Let whatever can go on go on."""
        while self._given_up:
            self._drop(self._given_up.popleft())
        while self._arrivals:
            self._admit(self._arrivals.popleft())
        for key, mask in self._selector.select(self._patience()):
            if key.fileobj is self._woken:
                self._woken.recv(4096)
            else:
                flags = pycurl.CSELECT_IN * bool(mask & _READ) | pycurl.CSELECT_OUT * bool(mask & _WRITE)
                self._multi.socket_action(key.fd, flags)
        if self._due is not None and time.monotonic() >= self._due:
            self._due = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._reap()

    def _admit(self, transfer: Transfer) -> None:
        self._running[transfer.easy] = transfer
        self._multi.add_handle(transfer.easy)

    def _drop(self, transfer: Transfer) -> None:
        if self._running.pop(transfer.easy, None):
            self._multi.remove_handle(transfer.easy)
            return
        with self._changed, contextlib.suppress(ValueError):
            self._arrivals.remove(transfer)

    def _reap(self) -> None:
        more = 1
        while more:
            more, succeeded, failed = self._multi.info_read()
            for easy, code, words in [*((easy, 0, "") for easy in succeeded), *failed]:
                self._multi.remove_handle(easy)
                transfer = self._running.pop(easy)
                with self._changed:
                    transfer.finished(code, words)
                    self._changed.notify_all()

    def _patience(self) -> float:
        return _LONGEST_POLL if self._due is None else max(0.0, min(_LONGEST_POLL, self._due - time.monotonic()))

    def _watch(self, what: int, fd: int, _multi: object, _data: object) -> None:
        """Watch a socket as libcurl asks for (CURLMOPT_SOCKETFUNCTION)."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(fd)
        if what in _INTEREST:
            self._selector.register(fd, _INTEREST[what])

    def _set_timer(self, milliseconds: int) -> None:
        """Call libcurl after a time, or not (CURLMOPT_TIMERFUNCTION)."""
        self._due = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is full of wake-ups already
            self._waker.send(b"\0")

    def _release(self) -> None:
        self._closed = True
        self._multi.close()
        self._selector.close()
        self._woken.close()
        self._waker.close()
