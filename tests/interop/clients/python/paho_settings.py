"""Properties by paho's classes, for paho itself and for aiomqtt, which is built on it."""

import mqtt_settings as settings
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


def _properties(packet, **values):
    """None in MQTT 3.1.1; what is None or 0 is left out."""
    if not settings.V5:
        return None
    result = Properties(packet)
    for name, value in values.items():
        if value:
            setattr(result, name, value)
    return result


def connect_properties():
    return _properties(
        PacketTypes.CONNECT, ReceiveMaximum=settings.RECEIVE_MAXIMUM, TopicAliasMaximum=settings.ALIAS_MAXIMUM
    )


def publish_properties(**more):
    return _properties(
        PacketTypes.PUBLISH,
        MessageExpiryInterval=settings.EXPIRY,
        ContentType="text/plain" if settings.PROPERTIES else None,
        UserProperty=("k", "v") if settings.PROPERTIES else None,
        TopicAlias=1 if settings.ALIAS else None,
        **more,
    )


def say_message(topic, message):
    line = {"topic": topic, "payload": message.payload.decode(), "qos": message.qos, "retain": bool(message.retain)}
    if settings.V5:
        line["content_type"] = getattr(message.properties, "ContentType", None)
        line["user"] = getattr(message.properties, "UserProperty", [])
        line["expiry"] = getattr(message.properties, "MessageExpiryInterval", None)
    settings.say(**line)
