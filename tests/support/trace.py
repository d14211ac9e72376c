"""A running `sluice trace`, read line by line."""

import contextlib
import json
import queue
import threading
import time

from support.hub import BINARY, running
from support.waiting import DEADLINE_S


class Trace:
    """Events as dictionaries, or lines of text, in the order in which they come."""

    def __init__(self, process, as_json):
        self.process = process
        self.seen = []
        self._lines = queue.Queue()
        self._as_json = as_json
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(json.loads(line) if self._as_json else line.rstrip("\n"))
        self._lines.put(None)

    def next(self, deadline_s=DEADLINE_S):
        line = self._lines.get(timeout=deadline_s)
        assert line is not None, f"the trace has ended: {self.process.stderr.read()}\n{self.seen}"
        self.seen.append(line)
        return line

    def until(self, fits, what):
        """The next line that fits."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            try:
                line = self.next(max(0.01, end - time.monotonic()))
            except queue.Empty:
                break
            if fits(line):
                return line
        raise AssertionError(f"not in the trace: {what}\n" + "\n".join(map(str, self.seen)))

    def count(self, name):
        """How many events of that name have been read."""
        return sum(event["event"] == name for event in self.seen)

    def event(self, name, **members):
        """The next event of that name with these members."""

        def fits(event):
            return event["event"] == name and all(event.get(key) == value for key, value in members.items())

        return self.until(fits, f"{name} {members}")

    def line(self, *parts):
        return self.until(lambda line: all(part in line for part in parts), parts)


@contextlib.contextmanager
def tracing(hub, by, value, *flags, output="json"):
    """A trace that is on: what happens from now on is shown."""
    command = [BINARY, "trace", by, "--data", hub.data, "-o", output, *flags, "--", value]
    with running(list(map(str, command))) as process:
        trace = Trace(process, output == "json")
        if output == "json":
            trace.event("tracing", by=by)
        else:
            trace.line(f"tracing {by}")
        yield trace
