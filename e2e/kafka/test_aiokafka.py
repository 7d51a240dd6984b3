"""aiokafka: a client for asyncio."""

import asyncio
import time

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    MessageSizeTooLargeError, ProducerFenced, TopicAlreadyExistsError, UnknownTopicOrPartitionError,
)

pytestmark = pytest.mark.timeout(60)


def consumer(bootstrap, *topics, **options):
    options = {"auto_offset_reset": "earliest", "enable_auto_commit": False,
               "fetch_max_wait_ms": 100, "session_timeout_ms": 6000,
               "heartbeat_interval_ms": 200} | options
    return AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, **options)


async def take(reader, count):
    got = []
    while len(got) < count:
        got.append(await asyncio.wait_for(reader.getone(), 30))
    return got


def test_topics(bootstrap, name):
    async def run():
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(name, 2, 1)])
            answer = await admin.create_topics([NewTopic(name, 2, 1)])
            assert answer.topic_errors[0][1] == TopicAlreadyExistsError.errno
            while name not in await admin.list_topics():
                pass
            described = (await admin.describe_topics([name]))[0]
            assert len(described["partitions"]) == 2
            await admin.delete_topics([name])
            while name in await admin.list_topics():
                pass
            answer = await admin.delete_topics([name])
            assert answer.topic_error_codes[0][1] == UnknownTopicOrPartitionError.errno
        finally:
            await admin.close()
    asyncio.run(run())


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_every_compression(bootstrap, topic, codec):
    async def run():
        values = [b"%d " % n * 30 for n in range(200)]
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=codec,
                                    linger_ms=20) as producer:
            sent = [await producer.send(topic, value, key=b"k", headers=[("h", b"1")])
                    for value in values]
            assert [(await one).offset for one in sent] == list(range(200))
        async with consumer(bootstrap, topic) as reader:
            got = await take(reader, 200)
        assert [record.value for record in got] == values
        assert got[0].key == b"k" and got[0].headers == (("h", b"1"),)
    asyncio.run(run())


@pytest.mark.parametrize("options", [{"acks": 0}, {"acks": 1}, {"enable_idempotence": True}],
                         ids=["0", "1", "idempotent"])
def test_acks(bootstrap, topic, options):
    async def run():
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, **options) as producer:
            for n in range(50):
                await producer.send_and_wait(topic, b"%d" % n)
        async with consumer(bootstrap, topic) as reader:
            assert [r.value for r in await take(reader, 50)] == [b"%d" % n for n in range(50)]
    asyncio.run(run())


def test_a_message_that_is_too_large(bootstrap, make_topic):
    topic = make_topic(max_message_bytes=1000)

    async def run():
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            with pytest.raises(MessageSizeTooLargeError):
                await producer.send_and_wait(topic, b"x" * 2000)
    asyncio.run(run())


def test_offsets_times_and_seeks(bootstrap, topic):
    async def run():
        start = int(time.time() * 1000) - 60_000
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            for n in range(10):
                await producer.send_and_wait(topic, b"%d" % n, timestamp_ms=start + n * 1000)
        partition = TopicPartition(topic, 0)
        async with consumer(bootstrap) as reader:
            reader.assign([partition])
            assert await reader.beginning_offsets([partition]) == {partition: 0}
            assert await reader.end_offsets([partition]) == {partition: 10}
            found = (await reader.offsets_for_times({partition: start + 4500}))[partition]
            assert (found.offset, found.timestamp) == (5, start + 5000)
            reader.seek(partition, 8)
            assert [r.offset for r in await take(reader, 2)] == [8, 9]
    asyncio.run(run())


def test_members_share_commit_and_take_over(bootstrap, make_topic, name):
    topic = make_topic(4)

    async def run():
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            for n in range(8):
                await producer.send_and_wait(topic, b"%d" % n, partition=n % 4)
        async with consumer(bootstrap, topic, group_id=name) as one:
            async with consumer(bootstrap, topic, group_id=name) as other:
                async with asyncio.timeout(30):
                    while sorted((len(one.assignment()), len(other.assignment()))) != [2, 2]:
                        await asyncio.sleep(0.02)
                got = await take(one, 4) + await take(other, 4)
                assert sorted(r.value for r in got) == [b"%d" % n for n in range(8)]
                await one.commit()
                await other.commit()
            async with asyncio.timeout(30):
                while len(one.assignment()) != 4:
                    await asyncio.sleep(0.02)
            for partition in range(4):
                assert await one.committed(TopicPartition(topic, partition)) == 2
    asyncio.run(run())


@pytest.mark.transactions
def test_transactions_offsets_and_fencing(bootstrap, make_topic, name):
    source, target = make_topic(1, "-in"), make_topic(1, "-out")

    async def run():
        first = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=name)
        await first.start()
        async with first.transaction():
            await first.send_and_wait(target, b"yes")
            await first.send_offsets_to_transaction({TopicPartition(source, 0): 7}, f"{name}-group")
        await first.begin_transaction()
        await first.send_and_wait(target, b"no")
        await first.abort_transaction()
        second = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=name)
        await second.start()
        with pytest.raises(ProducerFenced):
            async with first.transaction():
                await first.send_and_wait(target, b"late")
        async with second.transaction():
            await second.send_and_wait(target, b"second")
        await first.stop()
        await second.stop()
        async with consumer(bootstrap, target, isolation_level="read_committed") as reader:
            assert [r.value for r in await take(reader, 2)] == [b"yes", b"second"]
        async with consumer(bootstrap, group_id=f"{name}-group") as reader:
            assert await reader.committed(TopicPartition(source, 0)) == 7
    asyncio.run(run())
