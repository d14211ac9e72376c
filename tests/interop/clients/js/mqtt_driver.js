// MQTT.js behind the commands of ../../README.md.
'use strict';
const fs = require('fs');
const mqtt = require('mqtt');

const { env } = process;
const v5 = env.VERSION === '5';
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');
const payload = (number) => `m${number}`.padEnd(Number(env.SIZE || 0), '.');

function connect() {
  const client = mqtt.connect(env.URL, {
    protocolVersion: Number(env.VERSION),
    clientId: env.CLIENT_ID,
    username: env.LOGIN_USER,
    password: env.LOGIN_PASSWORD,
    ca: env.TLS_CA && fs.readFileSync(env.TLS_CA),
    will: env.WILL && { topic: env.WILL, payload: Buffer.from('gone'), qos: 1 },
    reconnectPeriod: 200,
    resubscribe: false,
    properties: v5
      ? {
          receiveMaximum: env.RECEIVE_MAXIMUM && Number(env.RECEIVE_MAXIMUM),
          topicAliasMaximum: env.ALIAS_MAXIMUM && Number(env.ALIAS_MAXIMUM),
        }
      : undefined,
  });
  client.on('error', (error) => {
    if (client.disconnecting) return; // the server may be quicker to close
    if (typeof error.code !== 'number') throw error;
    say({ refused: error.code });
    client.end();
  });
  return client;
}

function publishProperties(more) {
  if (!v5) return undefined;
  return {
    messageExpiryInterval: env.EXPIRY && Number(env.EXPIRY),
    contentType: env.PROPERTIES && 'text/plain',
    userProperties: env.PROPERTIES && { k: 'v' },
    topicAlias: env.ALIAS && 1,
    ...more,
  };
}

function sayMessage(topic, message, packet) {
  const properties = packet.properties || {};
  say({
    topic,
    payload: String(message),
    qos: packet.qos,
    retain: packet.retain,
    content_type: properties.contentType,
    user: Object.entries(properties.userProperties || {}),
    expiry: properties.messageExpiryInterval,
  });
}

function publish(topic, qos, count) {
  const client = connect();
  client.once('connect', async () => {
    const reasons = new Set();
    for (let i = 0; i < Number(count); i++) {
      const options = { qos: Number(qos), retain: Boolean(env.RETAIN), properties: publishProperties() };
      const to = env.ALIAS && i > 0 ? '' : topic;
      await client.publishAsync(to, payload(i), options).then(
        (packet) => reasons.add((packet && packet.reasonCode) || 0),
        (error) => reasons.add(error.code),
      );
    }
    say({ published: Number(count), reasons: [...reasons] });
    client.end();
  });
}

function subscribe(filter, qos, count) {
  const client = connect();
  let left = Number(count);
  client.on('message', (topic, message, packet) => {
    sayMessage(topic, message, packet);
    left -= 1;
    if (left === 0) client.end();
  });
  client.on('disconnect', (packet) => say({ disconnected: packet.reasonCode }));
  client.on('connect', () => {
    client.subscribe(filter, { qos: Number(qos) }, (error, granted, packet) => {
      if (packet) say({ subscribed: packet.granted[0] });
      if (error) client.end();
    });
  });
}

function request(topic, text) {
  const client = connect();
  const responseTopic = `${topic}/answer`;
  client.on('message', (_topic, message, packet) => {
    say({ response: String(message), correlation: String(packet.properties.correlationData) });
    client.end();
  });
  client.once('connect', async () => {
    await client.subscribeAsync(responseTopic, { qos: 1 });
    const properties = publishProperties({ responseTopic, correlationData: Buffer.from('c1') });
    await client.publishAsync(topic, text, { qos: 1, properties });
  });
}

function respond(topic) {
  const client = connect();
  client.on('message', async (_topic, message, packet) => {
    const { responseTopic, correlationData } = packet.properties;
    const properties = publishProperties({ correlationData });
    await client.publishAsync(responseTopic, String(message).toUpperCase(), { qos: 1, properties });
    client.end();
  });
  client.once('connect', async () => {
    const granted = await client.subscribeAsync(topic, { qos: 1 });
    say({ subscribed: granted[0].qos });
  });
}

const [command, ...args] = process.argv.slice(2);
({ publish, subscribe, request, respond })[command](...args);
