// MQTT.js over TCP, TLS or WebSocket: publishes to itself and says what came.
//   mqtt_driver.js URL VERSION QOS [CA]
'use strict';
const fs = require('fs');
const mqtt = require('mqtt');

const [url, version, qos, ca] = process.argv.slice(2);
const topic = `js/${process.pid}`;
const options = { protocolVersion: Number(version), reconnectPeriod: 0, connectTimeout: 20000 };
if (ca) options.ca = fs.readFileSync(ca);

async function main() {
  const client = await mqtt.connectAsync(url, options);
  const count = 20;
  const payload = (i) => `${i} `.padEnd(i === count - 1 ? 200000 : 10, 'x');
  const received = new Promise((resolve, reject) => {
    const seen = [];
    client.on('error', reject);
    client.on('close', () => reject(new Error('the connection was closed')));
    client.on('message', (at, message) => {
      seen.push([at, String(message)]);
      if (seen.length === count) resolve(seen);
    });
  });
  await client.subscribeAsync(`js/+`, { qos: Number(qos) });
  for (let i = 0; i < count; i++) await client.publishAsync(topic, payload(i), { qos: Number(qos) });
  const seen = await received;
  const right = seen.every(([at, message], i) => at === topic && message === payload(i));
  await client.endAsync();
  console.log(JSON.stringify({ received: seen.length, right }));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
