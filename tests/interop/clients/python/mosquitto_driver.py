"""mosquitto_pub, mosquitto_sub and mosquitto_rr behind the commands of ../../README.md."""

import json
import re
import subprocess
import sys

import mqtt_settings as settings
from mqtt_settings import say

# What the programs print with -d; mosquitto_sub prints messages as JSON.
SUBSCRIBED = re.compile(r"Subscribed \(mid: \d+\): (\d+)")
DISCONNECTED = re.compile(r"Received DISCONNECT \((\d+)\)")
CODES = {"Not authorized": 0x87}


def command(program, *args):
    line = ["stdbuf", "-oL", program, "-h", settings.URL.hostname, "-p", str(settings.URL.port)]
    line += ["-V", "mqttv5" if settings.V5 else "mqttv311"]
    if settings.CLIENT_ID:
        line += ["-i", settings.CLIENT_ID]
    if settings.TLS_CA:
        line += ["--cafile", settings.TLS_CA]
    if settings.LOGIN:
        line += ["-u", settings.LOGIN[0], "-P", settings.LOGIN[1]]
    if settings.WILL:
        line += ["--will-topic", settings.WILL, "--will-payload", "gone", "--will-qos", "1"]
    for name, value in (("receive-maximum", settings.RECEIVE_MAXIMUM), ("topic-alias-maximum", settings.ALIAS_MAXIMUM)):
        if value:
            line += ["-D", "connect", name, str(value)]
    return [*line, *args]


def publish_options():
    line = ["-r"] if settings.RETAIN else []
    if settings.EXPIRY:
        line += ["-D", "publish", "message-expiry-interval", str(settings.EXPIRY)]
    if settings.PROPERTIES:
        line += ["-D", "publish", "content-type", "text/plain", "-D", "publish", "user-property", "k", "v"]
    if settings.ALIAS:
        line += ["-D", "publish", "topic-alias", "1"]
    return line


def publish(topic, qos, count):
    lines = "".join(settings.payload(number) + "\n" for number in range(int(count)))
    call = command("mosquitto_pub", "-l", "-t", topic, "-q", qos, *publish_options())
    done = subprocess.run(call, input=lines, text=True, capture_output=True)
    if done.returncode and "Connection" in done.stderr:
        return say(refused=done.returncode)
    failed = re.findall(r"Publish \d+ failed: (.*)\.\n", done.stderr)
    say(published=int(count), reasons=sorted({CODES[text] for text in failed}))


def subscribe(topic_filter, qos, count):
    options = ["-C", count] if count != "0" else []
    call = command("mosquitto_sub", "-d", "-F", "%j", "-t", topic_filter, "-q", qos, *options)
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("{"):
                say_message(json.loads(line))
            elif found := SUBSCRIBED.search(line):
                say(subscribed=int(found[1]))
            elif found := DISCONNECTED.search(line):
                say(disconnected=int(found[1]))


def say_message(message):
    line = {"topic": message["topic"], "payload": message["payload"]}
    line |= {"qos": message["qos"], "retain": bool(message["retain"])}
    if settings.V5:
        properties = message.get("properties", {})
        line["content_type"] = properties.get("content-type")
        line["user"] = list(properties.get("user-properties", {}).items())
        line["expiry"] = properties.get("message-expiry-interval")
    say(**line)


def request(topic, text):
    call = command("mosquitto_rr", "-t", topic, "-e", f"{topic}/answer", "-q", "1", "-m", text, "-F", "%j")
    call += ["-D", "publish", "correlation-data", "c1"]
    answer = json.loads(subprocess.run(call, text=True, capture_output=True, check=True).stdout)
    say(response=answer["payload"], correlation=answer["properties"]["correlation-data"])


def respond(topic):
    call = command("mosquitto_sub", "-d", "-F", "%j", "-t", topic, "-q", "1", "-C", "1")
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if found := SUBSCRIBED.search(line):
                say(subscribed=int(found[1]))
            elif line.startswith("{"):
                asked = json.loads(line)
    properties = asked["properties"]
    call = command("mosquitto_pub", "-t", properties["response-topic"], "-q", "1", "-m", asked["payload"].upper())
    subprocess.run([*call, "-D", "publish", "correlation-data", properties["correlation-data"]], check=True)


if __name__ == "__main__":
    commands = {"publish": publish, "subscribe": subscribe, "request": request, "respond": respond}
    commands[sys.argv[1]](*sys.argv[2:])
