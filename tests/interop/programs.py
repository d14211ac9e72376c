"""Client programs of the matrices: how each is made, called, and listened to while it runs."""

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from support.hub import ROOT
from support.waiting import DEADLINE_S

HERE = Path(__file__).resolve().parent / "clients"
CACHE = ROOT / ".cache/interop"


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


class Program:
    """A driver: a small program around one client library, which prints a JSON object a line."""

    def __init__(self, name, command, prepare=lambda: None, environment=None, missing=lambda: None):
        """prepare: makes the program, once; missing: why that is not possible here, or None."""
        self.name = name
        self.missing = missing
        self._command = command
        self._prepare = prepare
        self._environment = environment or {}
        self._ready = False

    def command(self, args):
        if not self._ready:
            self._prepare()
            self._ready = True
        return [str(part) for part in (*self._command, *args)]

    def environment(self, connection):
        return {**os.environ, **self._environment, **connection}

    def call(self, connection, *args):
        """What the driver prints until it ends."""
        out = run(*self.command(args), env=self.environment(connection), timeout=2 * DEADLINE_S)
        return [json.loads(line) for line in out.splitlines()]

    @contextlib.contextmanager
    def process(self, connection, *args):
        """The driver while it runs, with pipes; killed afterwards, together with what it has started itself."""
        with subprocess.Popen(
            self.command(args),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(connection),
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                kill(process)


def kill(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class Lines:
    """What a running driver prints, one JSON object after the other."""

    def __init__(self, process):
        self._process = process
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def next(self, what):
        """Fails naming `what` when nothing comes in time, or the driver ends."""
        try:
            line = self._lines.get(timeout=DEADLINE_S)
        except queue.Empty:
            raise AssertionError(f"not within {DEADLINE_S} s: {what}") from None
        assert line is not None, f"the driver ended before {what}: {self._process.stderr.read()[-2000:]}"
        return line

    def waiting(self):
        """The lines that are there already."""
        while not self._lines.empty():
            if (line := self._lines.get()) is not None:
                yield line


# --- JavaScript, whose packages are shared by the drivers of both protocols

JS_ENVIRONMENT = {"NODE_PATH": str(CACHE / "js/node_modules")}


def prepare_js():
    folder = CACHE / "js"
    lock = folder / "package-lock.json"
    if lock.exists() and lock.read_bytes() == (HERE / "js/package-lock.json").read_bytes():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "js" / name, folder / name)
    run("npm", "ci", "--omit=dev", "--no-audit", "--no-fund", cwd=folder)
