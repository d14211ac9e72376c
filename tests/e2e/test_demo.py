"""`sluice demo` and `sluice top`, as a newcomer types them."""

import re
import shlex
import signal
import subprocess

import pytest

from support.hub import BINARY, ROOT, running, sluice
from support.waiting import DEADLINE_S

ANY_PORTS = [f"--set={name}=0" for name in ("mqtt.port", "mqtt.ws_port", "kafka.port", "admin.port")]


@pytest.fixture(scope="module")
def demo():
    """A running demo: (process, the commands that it shows)."""
    with running([BINARY, "demo", "--devices", "5", "--rate", "50", *ANY_PORTS]) as process:
        text = ""
        for line in process.stdout:
            text += line
            if "Ctrl-C" in line:
                break
        commands = [line.strip() for line in text.splitlines() if line.startswith("  ") and "#" not in line[:4]]
        yield process, commands
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 0, process.stderr.read()


def test_shows_six_commands(demo):
    assert len(demo[1]) == 6


def lines_of(command, count):
    """The first lines that a command prints, with which it is ended."""
    with running(["timeout", str(DEADLINE_S), "stdbuf", "-oL", *shlex.split(command)]) as process:
        return [process.stdout.readline().strip() for _ in range(count)]


def test_the_mqtt_commands_show_readings_and_who_is_there(demo):
    everything, statuses = demo[1][:2]
    for line in lines_of(everything, 20):
        assert re.fullmatch(r'sensors/dev\d/(status (online|offline)|\w+ \{"value":-?[\d.]+,"unit":"[C%]"\})', line)
    assert sorted(lines_of(statuses, 5)) == [f"sensors/dev{i}/status online" for i in range(1, 6)]


def test_the_kafka_commands_read_the_stream_and_a_group(demo):
    read, group, show, _ = demo[1][2:]
    done = subprocess.run(read.replace("\\n", "\n"), shell=True, capture_output=True, text=True, timeout=DEADLINE_S)
    assert len([line for line in done.stdout.splitlines() if line.startswith("dev")]) == 9
    assert len(lines_of(group, 10)) == 10
    shown = subprocess.run(show, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S)
    assert shown.returncode == 0 and "sensors" in shown.stdout, shown.stderr


def test_top_shows_rates(demo):
    shown = sluice(*shlex.split(demo[1][5])[1:], "-n", "1").stdout
    assert re.search(r"^sensors +[1-9]\d* +\d+$", shown, re.MULTILINE), shown
    assert re.search(r"^mqtt +[1-9] ", shown, re.MULTILINE), shown
