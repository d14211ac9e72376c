"""paho-mqtt of Python behind the commands of ../../README.md."""

import queue
import sys

import mqtt_settings as settings
import paho.mqtt.client as paho
from mqtt_settings import say
from paho_settings import connect_properties, publish_properties, say_message


def make_client():
    """Not connected yet; ends when the connection is refused."""
    client = paho.Client(
        paho.CallbackAPIVersion.VERSION2,
        client_id=settings.CLIENT_ID,
        protocol=paho.MQTTv5 if settings.V5 else paho.MQTTv311,
        transport="websockets" if settings.URL.scheme.startswith("ws") else "tcp",
    )
    if settings.TLS_CA:
        client.tls_set(settings.TLS_CA)
    if settings.LOGIN:
        client.username_pw_set(*settings.LOGIN)
    if settings.WILL:
        client.will_set(settings.WILL, "gone", 1)
    return client


def connect(client, on_connect):
    def connected(_client, _userdata, _flags, reason, _properties):
        if reason.is_failure:
            say(refused=reason.value)
            client.disconnect()
        else:
            on_connect()

    client.on_connect = connected
    client.connect(settings.URL.hostname, settings.URL.port, properties=connect_properties())


def publish(topic, qos, count):
    client = make_client()
    left, reasons = set(), set()

    def send():
        for number in range(int(count)):
            alias_alone = settings.ALIAS and number > 0
            sent = client.publish(
                "" if alias_alone else topic, settings.payload(number), int(qos), settings.RETAIN, publish_properties()
            )
            left.add(sent.mid)

    def published(_client, _userdata, mid, reason, _properties):
        left.remove(mid)
        reasons.add(reason.value)
        if not left:
            say(published=int(count), reasons=sorted(reasons))
            client.disconnect()

    client.on_publish = published
    connect(client, send)
    client.loop_forever()


class Aliases:
    """The library hands topic aliases to its user as they are."""

    def __init__(self):
        self._topics = {}

    def topic(self, message):
        alias = getattr(message.properties, "TopicAlias", None)
        if alias and message.topic:
            self._topics[alias] = message.topic
        return message.topic or self._topics[alias]


def subscribe(topic_filter, qos, count):
    client = make_client()
    aliases = Aliases()
    left = int(count)

    def received(_client, _userdata, message):
        nonlocal left
        say_message(aliases.topic(message), message)
        left -= 1
        if left == 0:
            client.disconnect()

    def subscribed(_client, _userdata, _mid, reasons, _properties):
        say(subscribed=reasons[0].value)
        if reasons[0].is_failure:
            client.disconnect()

    client.on_message = received
    client.on_subscribe = subscribed
    client.on_disconnect = lambda _c, _u, flags, reason, _p: reason.value and say(disconnected=reason.value)
    connect(client, lambda: client.subscribe(topic_filter, int(qos)))
    client.loop_forever()


def subscribed_client(topic):
    """(connected client, queue of its messages); it runs on a thread."""
    client = make_client()
    messages, ready = queue.Queue(), queue.Queue()
    client.on_message = lambda _c, _u, message: messages.put(message)
    client.on_subscribe = lambda _c, _u, _mid, reasons, _p: ready.put(reasons[0].value)
    connect(client, lambda: client.subscribe(topic, 1))
    client.loop_start()
    return client, messages, ready.get()


def request(topic, text):
    client, messages, _ = subscribed_client(f"{topic}/answer")
    properties = publish_properties(ResponseTopic=f"{topic}/answer", CorrelationData=b"c1")
    client.publish(topic, text, 1, properties=properties)
    answer = messages.get()
    say(response=answer.payload.decode(), correlation=answer.properties.CorrelationData.decode())
    client.disconnect()


def respond(topic):
    client, messages, code = subscribed_client(topic)
    say(subscribed=code)
    asked = messages.get()
    answer = publish_properties(CorrelationData=asked.properties.CorrelationData)
    client.publish(asked.properties.ResponseTopic, asked.payload.upper(), 1, properties=answer).wait_for_publish()
    client.disconnect()


if __name__ == "__main__":
    commands = {"publish": publish, "subscribe": subscribe, "request": request, "respond": respond}
    commands[sys.argv[1]](*sys.argv[2:])
