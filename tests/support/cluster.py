"""An Apache Kafka cluster of the tests' own (tests/peers/kafka), whose brokers may be paused, killed and started again."""

import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

from support.hub import ROOT
from support.waiting import eventually

PEERS = ROOT / "tests/peers/kafka"
START_DEADLINE_S = 180  # the first start of all downloads the jars


class KafkaCluster:
    """Brokers 1 to `brokers` in a folder; `bootstrap` is what clients need to reach them."""

    def __init__(self, folder, brokers=1, settings=None, heap_mb=384):
        missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
        assert not missing, f"{', '.join(missing)} is missing: run ./dev test, which installs it"
        self.folder = Path(folder) / "kafka"
        self.brokers = brokers
        # Below the ephemeral ports, as kafka-up asks, and with room for the two other ports of each broker.
        self.port = random.randrange(20000, 28900, 4)
        self.options = ["--brokers", str(brokers), "--heap", str(heap_mb)]
        for key, value in (settings or {}).items():
            self.options += ["--set", f"{key}={value}"]
        self.bootstrap = ",".join(f"127.0.0.1:{self.port + broker}" for broker in range(brokers))
        self._command_lines = {}

    def start(self):
        command = [PEERS / "kafka-up", *self.options, self.folder, str(self.port)]
        environment = {"KAFKA_CACHE": str(ROOT / ".cache/kafka"), **os.environ}
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_DEADLINE_S, env=environment)
        assert done.returncode == 0, f"kafka-up: {done.stdout}{done.stderr}"
        for broker in self.living():
            command_line = Path(f"/proc/{self.pid(broker)}/cmdline").read_bytes()
            self._command_lines[broker] = command_line.decode().split("\0")[:-1]
        return self

    def stop(self):
        """Brokers that are to be forgotten need not be stopped in order, which can take half a minute."""
        for broker in self.living():
            os.kill(self.pid(broker), signal.SIGKILL)
        if (self.folder / "cluster.id").exists():
            subprocess.run([PEERS / "kafka-down", "--wipe", self.folder], check=True, timeout=START_DEADLINE_S)

    def pid(self, broker):
        return int((self.folder / str(broker) / "pid").read_text())

    def living(self):
        return [broker for broker in range(1, self.brokers + 1) if self._is_alive(broker)]

    def log(self):
        """What the brokers have logged, one after the other."""
        logs = [self.folder / str(broker) / "server.log" for broker in range(1, self.brokers + 1)]
        return "".join(log.read_text(errors="replace") for log in logs if log.exists())

    def kill(self, broker):
        os.kill(self.pid(broker), signal.SIGKILL)
        eventually(lambda: not self._is_alive(broker), f"the death of broker {broker}")

    def start_again(self, broker):
        """One broker that was killed, as it was started the first time."""
        command = self._command_lines[broker]
        with (self.folder / str(broker) / "server.log").open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        (self.folder / str(broker) / "pid").write_text(str(process.pid))

    def pause(self, broker):
        """On a busy machine its threads go on for a moment: none does when this returns."""
        os.kill(self.pid(broker), signal.SIGSTOP)
        threads = Path(f"/proc/{self.pid(broker)}/task")
        eventually(
            lambda: all(_state(thread / "stat") == "T" for thread in threads.iterdir()), f"broker {broker} stands still"
        )

    def resume(self, broker):
        os.kill(self.pid(broker), signal.SIGCONT)

    def _is_alive(self, broker):
        try:
            state = _state(Path(f"/proc/{self.pid(broker)}/stat"))
        except FileNotFoundError:
            return False
        return state != "Z"  # a dead one whose parent has not looked yet


def _state(status):
    """Of a process or a thread, one letter, by its file in /proc."""
    return status.read_text().rsplit(")", 1)[1].split()[0]
