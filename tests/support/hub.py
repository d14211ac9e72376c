"""A sluice server process."""

import contextlib
import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from support.waiting import DEADLINE_S, eventually

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("SLUICE_BINARY", ROOT / "build/release/bin/sluice"))

ANY_PORTS = {"mqtt.port": 0, "mqtt.ws_port": 0, "kafka.port": 0, "admin.port": 0}
# Which setting holds the port of a listener in listeners.json; of others it is that of [mqtt.listener.NAME].
PORT_SETTINGS = {
    "admin": "admin.port",
    "kafka": "kafka.port",
    "mqtt": "mqtt.port",
    "mqtts": "mqtt.tls_port",
    "ws": "mqtt.ws_port",
    "wss": "mqtt.wss_port",
    "kafkas": "kafka.tls_port",
}
METRIC = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")


def sluice(*args, expect=0, **options):
    """Runs a sluice command to its end and returns it as a CompletedProcess with text."""
    done = subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=DEADLINE_S, **options)
    assert expect is None or done.returncode == expect, f"{args}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


@contextlib.contextmanager
def running(command):
    """A client program that talks while it runs; it is gone afterwards whatever happened."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def on_cluster(cluster, **settings):
    """Settings of a hub whose streams lie on a Kafka cluster."""
    return {"stream.backend": "kafka", "kafka_cluster.brokers": cluster.bootstrap, **settings}


class Hub:
    """One data directory, and the process that serves it, which may be stopped, killed and started again.

    After the first start the ports are kept, so that clients find a restarted hub where it was.
    """

    def __init__(self, folder, settings=None, args=()):
        self.data = Path(folder) / "data"
        self.log_path = Path(folder) / "hub.log"
        self.settings = {**ANY_PORTS, **(settings or {})}
        self.args = list(args)
        self.process = None
        self.listeners = {}
        self.shards = int(self.settings.get("server.shards", 1))
        self.cluster = None  # if the streams lie on one of the tests' own

    def command(self):
        sets = [f"--set={key}={value}" for key, value in self.settings.items()]
        return [str(BINARY), "server", "--data", str(self.data), *sets, *self.args]

    def launch(self):
        """Starts the process and does not wait for it."""
        (self.data / "listeners.json").unlink(missing_ok=True)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self):
        self.launch()
        return self.wait_until_listening()

    def wait_for_admin(self):
        """A hub that waits for its cluster listens on its admin port only."""

        def address():
            assert self.process.poll() is None, f"the hub ended with {self.process.returncode}:\n{self.log()}"
            return re.search(r'"protocol":"admin","address":"([^"]+)"', self.log())

        self.listeners = {"admin": eventually(address, "the admin port")[1]}

    def wait_until_listening(self):
        listeners = self.data / "listeners.json"

        def accepting():
            assert self.process.poll() is None, f"the hub ended with {self.process.returncode}:\n{self.log()}"
            return listeners.exists()

        eventually(accepting, "listeners.json")
        self.listeners = json.loads(listeners.read_text())
        for name, address in self.listeners.items():
            if not address.startswith("unix:"):
                self.settings[PORT_SETTINGS.get(name, f"mqtt.listener.{name}.port")] = address.rsplit(":", 1)[1]
        return self

    def stop(self):
        """Stops the hub in an orderly way and returns its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self):
        return self._end(signal.SIGKILL)

    def _end(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def memory(self):
        """Resident memory of the process in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)[1]) << 10

    def log(self):
        return self.log_path.read_text(errors="replace")

    def address(self, listener):
        """(host, port); of a Unix socket its path, and a port that means nothing."""
        address = self.listeners[listener]
        if address.startswith("unix:"):
            return address.removeprefix("unix:"), 1
        host, port = address.rsplit(":", 1)
        return host.strip("[]"), int(port)

    @property
    def has_cluster(self):
        return self.settings.get("stream.backend") == "kafka"

    @property
    def kafka(self):
        """Where Kafka clients find the hub's streams."""
        return self.settings["kafka_cluster.brokers"] if self.has_cluster else self.listeners["kafka"]

    def streams(self):
        """How many streams each shard knows, in all: rises and falls when a topic of the cluster was noticed."""
        return self.metric("sluice_cluster_streams")

    def mosquitto_options(self):
        host, port = self.address("mqtt")
        return ["-h", host, "-p", str(port)]

    def get(self, path):
        """(status, body) of a request to the admin port."""
        try:
            with urllib.request.urlopen(f"http://{self.listeners['admin']}{path}", timeout=DEADLINE_S) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name, **labels):
        """The sum over all rows of a metric whose labels hold those given."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            match = METRIC.match(line)
            if match and match[1] == name and wanted <= set((match[2] or "").split(",")):
                total += float(match[3])
        return total
