"""The servers of the MQTT matrix: sluice, and Debian's Mosquitto as control."""

import socket
import subprocess

from support.hub import Hub, sluice
from support.tls import Authority
from support.waiting import DEADLINE_S, eventually

USER, PASSWORD = "alice", "alice-secret"  # may use topics below `open` only; clients without a login all of them
LISTENERS = ("mqtt", "mqtts", "ws", "wss")  # the name of each is the scheme of its URL


class _Server:
    """listeners: name -> host:port, as a hub's listeners.json has them."""

    def address(self, listener):
        host, port = self.listeners[listener].rsplit(":", 1)
        return host, int(port)

    def connection(self, listener="mqtt", login=None):
        """The environment that lets a driver connect."""
        _, port = self.address(listener)
        path = "/mqtt" if listener in ("ws", "wss") else ""
        found = {"URL": f"{listener}://localhost:{port}{path}"}
        if listener in ("mqtts", "wss"):
            found["TLS_CA"] = str(self.ca)
        if login:
            found |= {"LOGIN_USER": login[0], "LOGIN_PASSWORD": login[1]}
        return found


class Sluice(_Server):
    name = "sluice"
    refuses_subscriptions = True
    # (client, capability): why not
    impossible = {
        ("mosquitto 2.0.11, 5", "take-over"): "mosquitto_sub ends when it is told of the take-over by DISCONNECT",
    }

    def __init__(self, folder):
        authority = Authority(folder)
        self.ca = authority.certificate
        pair = authority.issue("localhost")
        self._hub = Hub(
            folder,
            {
                "access.allow_anonymous": "true",
                **{"mqtt.tls_port": 0, "mqtt.wss_port": 0},
                **{"tls.certificate": pair.certificate, "tls.key": pair.key},
            },
        )
        data = ("--data", self._hub.data)
        rules = ("--allow=publish open/#", "--allow=subscribe open/#")
        sluice("user", "add", USER, *data, *rules, input=PASSWORD + "\n")
        sluice("user", "add", "anonymous", *data, "--no-password")
        self._hub.start()
        self.listeners = self._hub.listeners

    def stop(self):
        assert self._hub.running(), self._hub.log()[-4000:]
        assert self._hub.stop() == 0


class Mosquitto(_Server):
    name = "Mosquitto 2.0.11"
    refuses_subscriptions = False  # its files of rules filter what is delivered
    impossible = {
        ("autopaho 0.12.0, 5", "will"): "it asks for a delay, which Mosquitto does not cut at the end of the session",
        ("mosquitto 2.0.11, 5", "receive maximum"): "mosquitto_sub ends with a protocol error",
    }

    def __init__(self, folder):
        authority = Authority(folder)
        self.ca = authority.certificate
        pair = authority.issue("localhost")
        self.listeners = {name: f"127.0.0.1:{port}" for name, port in zip(LISTENERS, free_ports(len(LISTENERS)))}
        (folder / "rules").write_text(f"topic readwrite #\nuser {USER}\ntopic readwrite open/#\n")
        subprocess.run(["mosquitto_passwd", "-c", "-b", folder / "passwords", USER, PASSWORD], check=True)
        (folder / "mosquitto.conf").write_text(self._configuration(folder, pair))
        self._log = (folder / "mosquitto.log").open("wb")
        command = ["mosquitto", "-c", folder / "mosquitto.conf"]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        for name in self.listeners:
            eventually(lambda: is_open(self.address(name)), f"Mosquitto listens for {name}")

    def _configuration(self, folder, pair):
        lines = ["user root", "allow_anonymous true", f"password_file {folder}/passwords", f"acl_file {folder}/rules"]
        for name in self.listeners:
            lines.append("listener {1} {0}".format(*self.address(name)))
            if name in ("ws", "wss"):
                lines.append("protocol websockets")
            if name in ("mqtts", "wss"):
                lines += [f"certfile {pair.certificate}", f"keyfile {pair.key}"]
        return "\n".join(lines) + "\n"

    def stop(self):
        self._process.terminate()
        assert self._process.wait(DEADLINE_S) == 0
        self._log.close()


def free_ports(count):
    """Free when they were asked for, all at once."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def is_open(address):
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0
