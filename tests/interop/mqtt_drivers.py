"""The MQTT clients of the matrix: how each driver is made and run."""

import contextlib
import os
import shutil
import sys

from interop.programs import CACHE, HERE, JS_ENVIRONMENT, Lines, Program, kill, prepare_js, run
from support.hub import ROOT

BOTH = ("3.1.1", "5")


class MqttDriver(Program):
    """lacks: what the library does not have, or does not show; a column of the matrix each."""

    def __init__(self, name, command, versions=BOTH, lacks=(), quick=False, **options):
        super().__init__(name, command, **options)
        self.versions = versions
        self.lacks = set(lacks)
        self.quick = quick


class Client:
    """A driver that speaks one version of MQTT."""

    def __init__(self, driver, version):
        self.driver = driver
        self.v5 = version == "5"
        self.name = f"{driver.name}, {version}"

    def call(self, connection, *args, **settings):
        return self.driver.call(self._environment(connection, settings), *args)

    def publish(self, connection, topic, qos, count, **settings):
        """The distinct reason codes of the acknowledgements."""
        [said] = self.call(connection, "publish", topic, qos, count, **settings)
        assert said.get("published") == count, said
        return said.get("reasons", [])

    @contextlib.contextmanager
    def subscribed(self, connection, topic_filter, qos, count=0, **settings):
        """What a subscriber says whose SUBACK has come."""
        environment = self._environment(connection, settings)
        with self.driver.process(environment, "subscribe", topic_filter, qos, count) as process:
            subscriber = Talk(process)
            code = subscriber.wait_for("subscribed")
            assert code == qos, f"SUBACK {code:#x}"
            yield subscriber

    @contextlib.contextmanager
    def responding(self, connection, topic):
        with self.driver.process(self._environment(connection, {}), "respond", topic) as process:
            Talk(process).wait_for("subscribed")
            yield

    def _environment(self, connection, settings):
        given = {name: str(value) for name, value in settings.items()}
        return {**connection, "VERSION": "5" if self.v5 else "4", **given}


class Talk:
    """What a driver says while it runs."""

    def __init__(self, process):
        self._process = process
        self._lines = Lines(process)
        self._messages = []  # that came while something else was waited for

    def wait_for(self, key):
        """The value of the next line that has `key`."""
        while key not in (line := self._lines.next(f"{key!r} of the driver")):
            self._keep(line)
        return line[key]

    def messages(self, count):
        """The next messages, each with what the driver shows of it."""
        while len(self._messages) < count:
            self._keep(self._lines.next(f"message {len(self._messages) + 1} of {count}"))
        found, self._messages = self._messages[:count], self._messages[count:]
        return found

    def messages_so_far(self):
        for line in self._lines.waiting():
            self._keep(line)
        found, self._messages = self._messages, []
        return found

    def _keep(self, line):
        if "payload" in line:
            self._messages.append(line)

    def kill(self):
        kill(self._process)


# --- what the drivers need


def prepare_c():
    source, made = HERE / "c/mqtt_driver.c", CACHE / "c/mqtt_driver"
    if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
        made.parent.mkdir(parents=True, exist_ok=True)
        run("gcc", "-O1", "-Wall", "-Werror", "-o", made, source, "-lpaho-mqtt3as")


def prepare_java():
    jars, classes = CACHE / "paho-java", CACHE / "java-mqtt"
    pom = HERE / "java/pom.xml"
    stamp = jars / "pom.xml"
    if not stamp.exists() or stamp.read_bytes() != pom.read_bytes():
        run("mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={jars}")
        shutil.copy(pom, stamp)
    sources = [HERE / f"java/{name}.java" for name in ("Settings", "Mqtt3Driver", "Mqtt5Driver")]
    made = classes / "Mqtt5Driver.class"
    if not made.exists() or made.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        run("javac", "-d", classes, "-cp", f"{jars}/*", *sources)


def prepare_autopaho():
    run("go", "build", "-o", CACHE / "go/mqtt_driver", ".", cwd=HERE / "autopaho")


def prepare_rumqttc():
    environment = {**os.environ, "CARGO_HOME": str(ROOT / ".cache/cargo")}
    run("cargo", "build", "--locked", "--target-dir", CACHE / "rumqttc", cwd=HERE / "rumqttc", env=environment)


def missing_cargo():
    return None if shutil.which("cargo") else "no cargo to build it with"


def java(driver):
    options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]
    return ["java", *options, "-cp", f"{CACHE}/java-mqtt:{CACHE}/paho-java/*", driver]


# The columns in which clients differ. Publish reasons: the reason code of PUBACK reaches the user.
ALIAS_OUT, ALIAS_IN, PUBLISH_REASON = "alias out", "alias in", "publish reason"
WS, WSS = "WebSocket", "WSS"

DRIVERS = [
    MqttDriver("paho Python 2.2.0", [sys.executable, HERE / "python/paho_driver.py"], quick=True),
    MqttDriver(
        "aiomqtt 2.5.1",
        [sys.executable, HERE / "python/aiomqtt_driver.py"],
        lacks=[ALIAS_IN, PUBLISH_REASON],
        quick=True,
    ),
    MqttDriver(
        "mosquitto 2.0.11",
        [sys.executable, HERE / "python/mosquitto_driver.py"],
        lacks=[WS, WSS, ALIAS_IN],
        quick=True,
    ),
    MqttDriver("paho C 1.3.12", [CACHE / "c/mqtt_driver"], prepare=prepare_c),
    MqttDriver("paho Java 1.2.5 (v3)", java("Mqtt3Driver"), versions=["3.1.1"], prepare=prepare_java),
    MqttDriver(
        "paho Java 1.2.5 (v5)", java("Mqtt5Driver"), versions=["5"], lacks=[ALIAS_OUT], prepare=prepare_java
    ),
    MqttDriver("autopaho 0.12.0", [CACHE / "go/mqtt_driver"], versions=["5"], prepare=prepare_autopaho),
    MqttDriver(
        "rumqttc 0.25.1",
        [CACHE / "rumqttc/debug/mqtt_driver"],
        prepare=prepare_rumqttc,
        missing=missing_cargo,
    ),
    MqttDriver("MQTT.js 5.10.4", ["node", HERE / "js/mqtt_driver.js"], prepare=prepare_js, environment=JS_ENVIRONMENT),
]
CLIENTS = [Client(driver, version) for driver in DRIVERS for version in driver.versions]
