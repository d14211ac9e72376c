"""aiomqtt behind the commands of ../../README.md."""

import asyncio
import sys

import aiomqtt
import mqtt_settings as settings
from aiomqtt.exceptions import MqttConnectError
from mqtt_settings import say
from paho_settings import connect_properties, publish_properties, say_message


def make_client():
    user, password = settings.LOGIN or (None, None)
    return aiomqtt.Client(
        settings.URL.hostname,
        settings.URL.port,
        identifier=settings.CLIENT_ID or None,
        username=user,
        password=password,
        protocol=aiomqtt.ProtocolVersion.V5 if settings.V5 else aiomqtt.ProtocolVersion.V311,
        transport="websockets" if settings.URL.scheme.startswith("ws") else "tcp",
        tls_params=aiomqtt.TLSParameters(ca_certs=settings.TLS_CA) if settings.TLS_CA else None,
        will=aiomqtt.Will(settings.WILL, "gone", 1) if settings.WILL else None,
        properties=connect_properties(),
    )


async def publish(topic, qos, count):
    async with make_client() as client:
        for number in range(int(count)):
            alias_alone = settings.ALIAS and number > 0
            await client.publish(
                "" if alias_alone else topic, settings.payload(number), int(qos), settings.RETAIN, publish_properties()
            )
    say(published=int(count))


async def subscribe(topic_filter, qos, count):
    while True:
        try:
            return await read(topic_filter, int(qos), int(count))
        except MqttConnectError:
            raise
        except aiomqtt.MqttError:
            say(disconnected=None)
            await asyncio.sleep(0.1)


async def read(topic_filter, qos, left):
    async with make_client() as client:
        codes = await client.subscribe(topic_filter, qos)
        code = codes[0].value
        say(subscribed=code)
        if settings.refused(code):
            return
        async for message in client.messages:
            say_message(message.topic.value, message)
            left -= 1
            if left == 0:
                return


async def request(topic, text):
    async with make_client() as client:
        await client.subscribe(f"{topic}/answer", 1)
        properties = publish_properties(ResponseTopic=f"{topic}/answer", CorrelationData=b"c1")
        await client.publish(topic, text, 1, properties=properties)
        answer = await anext(client.messages)
        say(response=answer.payload.decode(), correlation=answer.properties.CorrelationData.decode())


async def respond(topic):
    async with make_client() as client:
        codes = await client.subscribe(topic, 1)
        say(subscribed=codes[0].value)
        asked = await anext(client.messages)
        properties = publish_properties(CorrelationData=asked.properties.CorrelationData)
        await client.publish(asked.properties.ResponseTopic, asked.payload.upper(), 1, properties=properties)


async def main(command, *args):
    commands = {"publish": publish, "subscribe": subscribe, "request": request, "respond": respond}
    try:
        await commands[command](*args)
    except MqttConnectError as error:
        say(refused=error.rc.value)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
