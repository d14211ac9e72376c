"""The servers of the matrix: sluice, and Apache Kafka as control."""

import os
import socket
import subprocess

from interop.kafka_drivers import KAFKA_CACHE, PEER
from support.hub import Hub, sluice
from support.tls import Authority

USER, PASSWORD = "alice", "alice-secret"  # those of kafka-up


class Sluice:
    """One hub with a plain and a TLS listener, a user, and anonymous clients allowed beside."""

    name = "sluice"
    mechanisms = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

    def __init__(self, folder):
        authority = Authority(folder)
        self._ca = authority.certificate
        pair = authority.issue("localhost")
        self.hub = Hub(
            folder,
            {
                "access.allow_anonymous": "true",
                "kafka.tls_port": 0,
                "tls.certificate": pair.certificate,
                "tls.key": pair.key,
            },
        )
        self.hub.data.mkdir(parents=True)
        sluice("user", "add", USER, "--data", self.hub.data, input=PASSWORD + "\n")
        sluice("user", "add", "anonymous", "--data", self.hub.data, "--no-password")
        self.hub.start()

    def connection(self, tls=False, mechanism=None):
        found = {"BOOTSTRAP": self.hub.listeners["kafkas" if tls else "kafka"]}
        if tls:
            found["TLS_CA"] = str(self._ca)
        return found | login(mechanism)

    def stop(self):
        assert self.hub.running(), self.hub.log()[-4000:]
        assert self.hub.stop() == 0


class ApacheKafka:
    """A broker for each way to connect, started when it is asked for."""

    name = "Kafka 4.3.1"
    mechanisms = ("PLAIN", "SCRAM-SHA-256")
    # Kafka 4 does not let librdkafka before 2.6.1 log in by SCRAM, sluice does.
    impossible = {("librdkafka 2.0.2", "SCRAM-SHA-256")}

    def __init__(self, folder):
        self._folder = folder
        self._started = {}

    def connection(self, tls=False, mechanism=None):
        options = ["--tls"] if tls else []
        if mechanism:
            options += ["--sasl", "plain" if mechanism == "PLAIN" else "scram"]
        key = "-".join(option.lstrip("-") for option in options) or "plain"
        if key not in self._started:
            self._started[key] = self._start(key, options)
        found = {"BOOTSTRAP": self._started[key]}
        if tls:
            found["TLS_CA"] = str(self._folder / key / "tls/ca.crt")
        return found | login(mechanism)

    def _start(self, key, options):
        command = [PEER / "kafka-up", *options, "--heap", "384", self._folder / key, str(free_port())]
        started = subprocess.run(command, capture_output=True, text=True, env=kafka_environment())
        assert started.returncode == 0, started.stderr
        return started.stdout.split()[1]

    def stop(self):
        for key in self._started:
            subprocess.run([PEER / "kafka-down", "--wipe", self._folder / key], check=True, capture_output=True)


def kafka_environment():
    return {**os.environ, "KAFKA_CACHE": str(KAFKA_CACHE)}


def login(mechanism):
    if not mechanism:
        return {}
    return {"SASL_MECHANISM": mechanism, "SASL_USER": USER, "SASL_PASSWORD": PASSWORD}


def free_port():
    """One whose neighbours 1000 and 2000 above are free as well, as kafka-up needs them."""
    for port in range(20000, 28000, 7):
        if all(is_free(port + above) for above in (0, 1000, 2000)):
            return port
    raise AssertionError("no free port")


def is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
