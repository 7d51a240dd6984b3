package polyport.e2e.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Java's producer and consumer without groups. */
@Timeout(60)
class ProduceConsumeTest {
    private static Admin admin;

    @BeforeAll
    static void open() {
        admin = Broker.admin();
    }

    @AfterAll
    static void close() {
        admin.close();
    }

    @ParameterizedTest
    @ValueSource(strings = {"none", "gzip", "snappy", "lz4", "zstd"})
    void everyCompression(String codec) throws Exception {
        String topic = Broker.topic(admin, codec, 1);
        List<String> values = new ArrayList<>();
        try (var producer = Broker.producer("compression.type", codec, "linger.ms", "20")) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int n = 0; n < 300; n++) {
                values.add((n + " ").repeat(30));
                sent.add(producer.send(new ProducerRecord<>(topic, values.get(n))));
            }
            for (int n = 0; n < 300; n++) {
                assertEquals(n, sent.get(n).get().offset());
            }
        }
        assertEquals(values, all(topic, 300));
    }

    private static List<String> all(String topic, int count) {
        try (var consumer = Broker.consumer(Broker.unique("group"))) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            consumer.seekToBeginning(consumer.assignment());
            return Broker.take(consumer, count);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"0", "1", "all"})
    void acks(String acks) throws Exception {
        String topic = Broker.topic(admin, "acks", 1);
        try (var producer = Broker.producer("acks", acks, "enable.idempotence", "false")) {
            var told = producer.send(new ProducerRecord<>(topic, "x")).get();
            assertEquals(acks.equals("0") ? -1 : 0, told.offset());
        }
        assertEquals(List.of("x"), all(topic, 1));
    }

    @Test
    void keysHeadersTimesAndTombstones() throws Exception {
        String topic = Broker.topic(admin, "record", 1);
        long stamp = System.currentTimeMillis() - 3_600_000;
        try (var producer = Broker.producer()) {
            var record = new ProducerRecord<>(topic, 0, stamp, "key", "value");
            record.headers().add(new RecordHeader("h", new byte[] {1, 2}));
            record.headers().add(new RecordHeader("none", (byte[]) null));
            producer.send(record).get();
            producer.send(new ProducerRecord<>(topic, 0, "gone", null)).get();
        }
        try (var consumer = Broker.consumer(Broker.unique("group"))) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            List<ConsumerRecord<String, String>> got = new ArrayList<>();
            Broker.until("two records", () -> {
                consumer.poll(Duration.ofMillis(100)).forEach(got::add);
                return got.size() == 2;
            });
            var first = got.get(0);
            assertEquals("key", first.key());
            assertEquals(stamp, first.timestamp());
            assertEquals(TimestampType.CREATE_TIME, first.timestampType());
            assertEquals(0, first.leaderEpoch().get());
            assertEquals(2, first.headers().lastHeader("h").value().length);
            assertNull(first.headers().lastHeader("none").value());
            assertNull(got.get(1).value());
        }
    }

    @Test
    void tooLargeIsSaid() throws Exception {
        String topic = Broker.topic(admin, "large", 1, "max.message.bytes", "1000");
        try (var producer = Broker.producer()) {
            var raised = assertThrows(ExecutionException.class,
                () -> producer.send(new ProducerRecord<>(topic, "x".repeat(2000))).get());
            assertTrue(raised.getCause() instanceof RecordTooLargeException, raised.toString());
            producer.send(new ProducerRecord<>(topic, "y".repeat(900))).get();
        }
        assertEquals(1, all(topic, 1).size());
    }

    @Test
    void anUnknownTopicIsWaitedForInVain() {
        try (var producer = Broker.producer("max.block.ms", "700")) {
            var raised = assertThrows(ExecutionException.class, () -> producer
                .send(new ProducerRecord<>(Broker.unique("none"), "x")).get());
            assertTrue(raised.getCause() instanceof TimeoutException);
        }
    }

    @Test
    void whereToReadFrom() throws Exception {
        String topic = Broker.topic(admin, "from", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        long start = System.currentTimeMillis() - 60_000;
        try (var producer = Broker.producer()) {
            for (int n = 0; n < 10; n++) {
                producer.send(new ProducerRecord<>(topic, 0, start + n * 1000, null, "" + n)).get();
            }
        }
        try (var consumer = Broker.consumer(Broker.unique("group"), "auto.offset.reset", "none")) {
            consumer.assign(List.of(partition));
            assertEquals(Map.of(partition, 0L), consumer.beginningOffsets(List.of(partition)));
            assertEquals(Map.of(partition, 10L), consumer.endOffsets(List.of(partition)));
            var found = consumer.offsetsForTimes(Map.of(partition, start + 4500)).get(partition);
            assertEquals(5, found.offset());
            assertEquals(start + 5000, found.timestamp());
            assertNull(consumer.offsetsForTimes(Map.of(partition, start + 99_000)).get(partition));
            consumer.seek(partition, 8);
            assertEquals(List.of("8", "9"), Broker.take(consumer, 2));
            assertEquals(0, consumer.currentLag(partition).getAsLong());
            consumer.seek(partition, 100);
            assertThrows(OffsetOutOfRangeException.class, () -> Broker.take(consumer, 1));
        }
    }

    @Test
    void anIdempotentProducerOverManyPartitions() throws Exception {
        String topic = Broker.topic(admin, "idempotent", 20);
        try (var producer = Broker.producer("batch.size", "2000")) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int n = 0; n < 4000; n++) {
                if (n == 20) {
                    producer.flush();
                }
                sent.add(producer.send(new ProducerRecord<>(topic, n % 20, null, "" + n)));
            }
            for (int n = 0; n < 4000; n++) {
                assertEquals(n / 20, sent.get(n).get().offset());
            }
        }
    }
}
