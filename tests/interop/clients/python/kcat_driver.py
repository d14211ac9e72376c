"""kcat (Debian's librdkafka 2.0) behind the commands of ../../README.md."""

import json
import os
import re
import subprocess
import sys
import threading

RECORD_FORMAT = '{"key": "%k", "value": "%s", "partition": %p, "offset": %o}\n'
REBALANCED = re.compile(r"rebalanced.*: (assigned|revoked): ?(.*)")


def say(**what):
    print(json.dumps(what), flush=True)


def kcat(*args):
    ca, mechanism = os.environ.get("TLS_CA"), os.environ.get("SASL_MECHANISM")
    command = ["kcat", "-b", os.environ["BOOTSTRAP"]]
    if ca or mechanism:
        command += ["-X", "security.protocol=" + ("sasl_" if mechanism else "") + ("ssl" if ca else "plaintext")]
    if ca:
        command += ["-X", f"ssl.ca.location={ca}"]
    if mechanism:
        command += ["-X", f"sasl.mechanism={mechanism}"]
        command += ["-X", f"sasl.username={os.environ['SASL_USER']}"]
        command += ["-X", f"sasl.password={os.environ['SASL_PASSWORD']}"]
    return [*command, *args]


def produce(topic, count, codec):
    lines = "".join(f"k{i}:v{i}\n" for i in range(int(count)))
    subprocess.run(kcat("-P", "-t", topic, "-K:", "-z", codec), input=lines, text=True, check=True)
    say(produced=int(count))


def read(topic, *where, count):
    subprocess.run(kcat("-q", "-C", "-t", topic, *where, "-c", count, "-f", RECORD_FORMAT), check=True)


def consume(topic, count):
    read(topic, "-o", "beginning", count=count)


def seek(topic, time):
    read(topic, "-p", "0", "-o", f"s@{time}", count="1")


def group(topic, name):
    settings = {
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 10000,
        "heartbeat.interval.ms": 300,
        "auto.commit.interval.ms": 100,
    }
    options = [option for key, value in settings.items() for option in ("-X", f"{key}={value}")]
    command = kcat("-u", *options, "-f", RECORD_FORMAT, "-G", name, topic)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        threading.Thread(target=lambda: (sys.stdin.readline(), process.terminate()), daemon=True).start()
        for line in process.stderr:
            if found := REBALANCED.search(line):
                partitions = [int(number) for number in re.findall(r"\[(\d+)\]", found[2])]
                say(assigned=partitions if found[1] == "assigned" else [])
    say(closed=True)


if __name__ == "__main__":
    {"produce": produce, "consume": consume, "seek": seek, "group": group}[sys.argv[1]](*sys.argv[2:])
