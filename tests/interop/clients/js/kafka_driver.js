// kafkajs behind the commands of ../../README.md.
'use strict';
const fs = require('fs');
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs');
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');

const codecs = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy };
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');
const sayRecord = (partition, message) =>
  say({ key: String(message.key), value: String(message.value), partition, offset: Number(message.offset) });

function connect() {
  const { BOOTSTRAP, TLS_CA, SASL_MECHANISM, SASL_USER, SASL_PASSWORD } = process.env;
  return new Kafka({
    clientId: 'interop',
    brokers: BOOTSTRAP.split(','),
    logLevel: logLevel.NOTHING,
    ssl: TLS_CA ? { ca: [fs.readFileSync(TLS_CA)] } : undefined,
    sasl: SASL_MECHANISM && { mechanism: SASL_MECHANISM.toLowerCase(), username: SASL_USER, password: SASL_PASSWORD },
  });
}

async function produce(topic, count, codec) {
  const producer = connect().producer();
  await producer.connect();
  const messages = Array.from({ length: count }, (_, i) => ({ key: `k${i}`, value: `v${i}` }));
  await producer.send({ topic, messages, acks: -1, compression: codecs[codec] });
  await producer.disconnect();
  say({ produced: count });
}

// kafkajs reads in a group only: one of its own for each call.
async function read(topic, seek, count) {
  const consumer = connect().consumer({ groupId: `read-${topic}-${process.pid}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  let seen = 0;
  await new Promise((resolve, reject) => {
    consumer
      .run({
        eachMessage: async ({ partition, message }) => {
          if (seen === count || (seek && Number(message.offset) < seek.offset)) return;
          sayRecord(partition, message);
          if (++seen === count) resolve();
        },
      })
      .catch(reject);
    if (seek) consumer.seek({ topic, partition: 0, offset: String(seek.offset) });
  });
  await consumer.disconnect();
}

async function seek(topic, time) {
  const admin = connect().admin();
  await admin.connect();
  const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, time);
  await admin.disconnect();
  await read(topic, { offset: Number(offsets[0].offset) }, 1);
}

async function group(topic, groupId) {
  const consumer = connect().consumer({ groupId, sessionTimeout: 10000, heartbeatInterval: 300 });
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => say({ assigned: payload.memberAssignment[topic] || [] }));
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      sayRecord(partition, message);
      await consumer.commitOffsets([{ topic, partition, offset: String(Number(message.offset) + 1) }]);
      say({ committed: true });
    },
  });
  await new Promise((resolve) => process.stdin.once('data', resolve));
  await consumer.disconnect();
  say({ closed: true });
}

const [command, ...args] = process.argv.slice(2);
const commands = {
  produce: (topic, count, codec) => produce(topic, Number(count), codec),
  consume: (topic, count) => read(topic, null, Number(count)),
  group,
  seek: (topic, time) => seek(topic, Number(time)),
};
commands[command](...args).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
