"""What the MQTT drivers in Python share: the environment of ../../README.md, and what they print."""

import json
import os
from urllib.parse import urlsplit

URL = urlsplit(os.environ["URL"])
TLS_CA = os.environ.get("TLS_CA")
V5 = os.environ.get("VERSION") == "5"
CLIENT_ID = os.environ.get("CLIENT_ID", "")
LOGIN = (os.environ["LOGIN_USER"], os.environ["LOGIN_PASSWORD"]) if "LOGIN_USER" in os.environ else None
WILL = os.environ.get("WILL")
RECEIVE_MAXIMUM = int(os.environ.get("RECEIVE_MAXIMUM", 0))
ALIAS_MAXIMUM = int(os.environ.get("ALIAS_MAXIMUM", 0))

RETAIN = "RETAIN" in os.environ
EXPIRY = int(os.environ.get("EXPIRY", 0))
PROPERTIES = "PROPERTIES" in os.environ
ALIAS = "ALIAS" in os.environ
SIZE = int(os.environ.get("SIZE", 0))


def payload(number):
    return f"m{number}".ljust(SIZE, ".")


def say(**what):
    print(json.dumps(what), flush=True)


def refused(code):
    return code >= 0x80
