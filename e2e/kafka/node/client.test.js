// kafkajs against $KAFKA_BOOTSTRAP.
'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { Kafka, logLevel, CompressionTypes, CompressionCodecs, AssignerProtocol, ConfigResourceTypes } =
  require('kafkajs');
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');

const kafka = new Kafka({
  brokers: process.env.KAFKA_BOOTSTRAP.split(','),
  logLevel: logLevel.NOTHING,
  retry: { initialRetryTime: 50, retries: 8 },
});
const admin = kafka.admin();
let count = 0;
const unique = (word) => `js-${word}-${process.pid}-${++count}`;
const notYet = (process.env.KAFKA_NOT_YET || '').split(' ');

test.before(() => admin.connect());
test.after(() => admin.disconnect());

async function until(condition, what) {
  const end = Date.now() + 20000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`${what} did not come about`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

async function makeTopic(word, numPartitions = 1, configEntries = []) {
  const topic = unique(word);
  await admin.createTopics({ topics: [{ topic, numPartitions, configEntries }], waitForLeaders: true });
  return topic;
}

async function withProducer(options, work) {
  const producer = kafka.producer({ allowAutoTopicCreation: false, ...options });
  await producer.connect();
  try {
    return await work(producer);
  } finally {
    await producer.disconnect();
  }
}

// Reads until `count` messages are there; the consumer goes on until stop() is called.
async function reading(topic, options = {}) {
  const consumer = kafka.consumer({
    groupId: unique('group'), maxWaitTimeInMs: 100, heartbeatInterval: 200, sessionTimeout: 6000,
    rebalanceTimeout: 6000, ...options,
  });
  const messages = [];
  let assigned = null;
  consumer.on(consumer.events.GROUP_JOIN, (e) => { assigned = e.payload.memberAssignment; });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    autoCommit: options.autoCommit ?? false,
    eachMessage: async ({ partition, message }) => { messages.push({ partition, ...message }); },
  });
  return {
    consumer,
    messages,
    share: () => (assigned && assigned[topic]) || [],
    take: (n) => until(() => messages.length >= n && messages.slice(0, n), `${n} messages`),
    stop: () => consumer.disconnect(),
  };
}

test('topics, partitions and configurations', { timeout: 60000 }, async () => {
  const topic = await makeTopic('admin', 2, [{ name: 'retention.ms', value: '1000000' }]);
  assert.equal(await admin.createTopics({ topics: [{ topic }] }), false);
  await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] });
  await until(async () => {
    const seen = await admin.fetchTopicMetadata({ topics: [topic] });
    return seen.topics[0].partitions.length === 3;
  }, 'three partitions');
  const described = await admin.describeConfigs({
    includeSynonyms: true,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: ['retention.ms'] }],
  });
  assert.equal(described.resources[0].configEntries[0].configValue, '1000000');
  await admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic,
      configEntries: [{ name: 'cleanup.policy', value: 'compact' }] }],
  });
  const cluster = await admin.describeCluster();
  assert.equal(cluster.brokers.length, 1);
  assert.equal(cluster.clusterId.length, 22);
  await admin.deleteTopics({ topics: [topic] });
  await until(async () => !(await admin.listTopics()).includes(topic), 'the end of the topic');
  const impatient = kafka.admin({ retry: { retries: 0 } });
  await impatient.connect();
  await assert.rejects(impatient.deleteTopics({ topics: [topic] }),
    (error) => /UNKNOWN_TOPIC_OR_PARTITION/.test(error.type || error.cause?.type));
  await impatient.disconnect();
});

for (const [word, compression] of Object.entries({
  none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy,
})) {
  test(`produces and consumes: ${word}`, { timeout: 60000 }, async () => {
    const topic = await makeTopic(word);
    const sent = Array.from({ length: 200 }, (_, n) => ({
      key: `k${n}`, value: `${n} `.repeat(30), headers: { a: '1', b: ['2', '3'] },
      timestamp: `${Date.now() - 1000}`,
    }));
    await withProducer({}, async (producer) => {
      const [answer] = await producer.send({ topic, compression, messages: sent });
      assert.equal(answer.errorCode, 0);
      assert.equal(answer.baseOffset, '0');
    });
    const reader = await reading(topic);
    const got = await reader.take(200);
    await reader.stop();
    assert.deepEqual(got.map((m) => m.value.toString()), sent.map((m) => m.value));
    assert.equal(got[7].key.toString(), 'k7');
    assert.equal(got[7].timestamp, sent[7].timestamp);
    assert.equal(got[7].headers.a.toString(), '1');
    assert.deepEqual(got[7].headers.b.map(String), ['2', '3']);
  });
}

for (const acks of [0, 1, -1]) {
  test(`acks ${acks}`, { timeout: 60000 }, async () => {
    const topic = await makeTopic('acks');
    await withProducer({}, (producer) => producer.send({ topic, acks, messages: [{ value: 'x' }] }));
    const reader = await reading(topic);
    assert.equal((await reader.take(1))[0].value.toString(), 'x');
    await reader.stop();
  });
}

test('an idempotent producer', { timeout: 60000 }, async () => {
  const topic = await makeTopic('idempotent');
  await withProducer({ idempotent: true }, async (producer) => {
    for (let n = 0; n < 20; n++) await producer.send({ topic, messages: [{ value: `${n}` }] });
  });
  const reader = await reading(topic);
  assert.deepEqual((await reader.take(20)).map((m) => +m.value), Array.from({ length: 20 }, (_, n) => n));
  await reader.stop();
});

test('a message that is too large', { timeout: 60000 }, async () => {
  const topic = await makeTopic('large', 1, [{ name: 'max.message.bytes', value: '1000' }]);
  await withProducer({ retry: { retries: 0 } }, (producer) => assert.rejects(
    producer.send({ topic, messages: [{ value: 'x'.repeat(2000) }] }),
    (error) => /MESSAGE_TOO_LARGE/.test(error.type || error.cause?.type || error.originalError?.type)));
});

test('an unknown topic', { timeout: 60000 }, async () => {
  await withProducer({ retry: { retries: 0 } }, (producer) => assert.rejects(
    producer.send({ topic: unique('none'), messages: [{ value: 'x' }] }),
    (error) => /UNKNOWN_TOPIC_OR_PARTITION/.test(error.type || error.cause?.type)));
});

test('watermarks, offsets by time, deleted records', { timeout: 60000 }, async () => {
  const topic = await makeTopic('offsets');
  const start = Date.now() - 60000;
  await withProducer({}, async (producer) => {
    for (let n = 0; n < 5; n++) {
      await producer.send({ topic, messages: [{ value: `${n}`, timestamp: `${start + n * 1000}` }] });
    }
  });
  // The client must have seen the topic's leaders.
  await admin.fetchTopicOffsets(topic);
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '2' }] });
  const [partition] = await admin.fetchTopicOffsets(topic);
  assert.deepEqual([partition.low, partition.high], ['2', '5']);
  const [found] = await admin.fetchTopicOffsetsByTimestamp(topic, start + 2500);
  assert.equal(found.offset, '3');
});

test('members share, commit and take over', { timeout: 60000 }, async () => {
  const topic = await makeTopic('group', 4);
  const groupId = unique('group');
  await withProducer({}, (producer) => producer.send({
    topic,
    messages: Array.from({ length: 8 }, (_, n) => ({ partition: n % 4, value: `${n}` })),
  }));
  const one = await reading(topic, { groupId, autoCommit: true });
  const other = await reading(topic, { groupId, autoCommit: true });
  await until(() => one.share().length === 2 && other.share().length === 2, 'two shares');
  await until(() => new Set([...one.messages, ...other.messages].map((m) => `${m.value}`)).size === 8,
    'all messages');
  const { groups } = await admin.describeGroups([groupId]);
  assert.equal(groups[0].members.length, 2);
  for (const member of groups[0].members) {
    assert.ok(AssignerProtocol.MemberAssignment.decode(member.memberAssignment).assignment[topic].length);
  }
  assert.ok((await admin.listGroups()).groups.some((group) => group.groupId === groupId));
  await other.stop();
  await until(() => one.share().length === 4, 'all to the one that is left');
  await one.stop();
  const [offsets] = await admin.fetchOffsets({ groupId, topics: [topic] });
  assert.deepEqual(offsets.partitions.map((p) => p.offset), ['2', '2', '2', '2']);
  await admin.resetOffsets({ groupId, topic, earliest: true });
  await admin.deleteGroups([groupId]);
});

test('transactions: commit, abort, offsets', { timeout: 60000, skip: notYet.includes('transactions') },
  async () => {
    const topic = await makeTopic('transaction');
    const groupId = unique('group');
    await withProducer({ idempotent: true, maxInFlightRequests: 1, transactionalId: unique('id') },
      async (producer) => {
        const aborted = await producer.transaction();
        await aborted.send({ topic, messages: [{ value: 'no' }] });
        await aborted.abort();
        const committed = await producer.transaction();
        await committed.send({ topic, messages: [{ value: 'yes' }] });
        await committed.sendOffsets({
          consumerGroupId: groupId, topics: [{ topic, partitions: [{ partition: 0, offset: '4' }] }],
        });
        await committed.commit();
      });
    const [offsets] = await admin.fetchOffsets({ groupId, topics: [topic] });
    assert.equal(offsets.partitions[0].offset, '4');
    const reader = await reading(topic, { readUncommitted: false });
    const got = await reader.take(1);
    await reader.stop();
    assert.equal(got[0].value.toString(), 'yes');
  });
