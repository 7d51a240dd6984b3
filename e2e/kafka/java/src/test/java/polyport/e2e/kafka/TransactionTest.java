package polyport.e2e.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static polyport.e2e.kafka.Broker.get;
import static polyport.e2e.kafka.Broker.until;

import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Java's transactions. */
@Timeout(60)
@Tag("transactions")
class TransactionTest {
    private static Admin admin;

    @BeforeAll
    static void open() {
        admin = Broker.admin();
    }

    @AfterAll
    static void close() {
        admin.close();
    }

    private static List<String> committed(String topic, int count) {
        try (var consumer = Broker.consumer(Broker.unique("group"), "isolation.level", "read_committed")) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            return Broker.take(consumer, count);
        }
    }

    @Test
    void commitAndAbort() throws Exception {
        String topic = Broker.topic(admin, "commit", 1);
        try (var producer = Broker.producer("transactional.id", Broker.unique("id"))) {
            producer.initTransactions();
            for (int n = 0; n < 6; n++) {
                producer.beginTransaction();
                Broker.send(producer, topic, "" + n);
                if (n % 2 == 0) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
        }
        assertEquals(List.of("0", "2", "4"), committed(topic, 3));
    }

    @Test
    void theOlderOfTwoIsFenced() throws Exception {
        String topic = Broker.topic(admin, "fenced", 1);
        String id = Broker.unique("id");
        try (var older = Broker.producer("transactional.id", id);
                var newer = Broker.producer("transactional.id", id)) {
            older.initTransactions();
            older.beginTransaction();
            Broker.send(older, topic, "old");
            newer.initTransactions();
            var raised = assertThrows(Exception.class, () -> {
                Broker.send(older, topic, "late");
                older.commitTransaction();
            });
            Throwable cause = raised instanceof java.util.concurrent.ExecutionException
                ? raised.getCause() : raised;
            assertTrue(cause instanceof ProducerFencedException
                || cause instanceof InvalidProducerEpochException, cause.toString());
            newer.beginTransaction();
            Broker.send(newer, topic, "new");
            newer.commitTransaction();
        }
        assertEquals(List.of("new"), committed(topic, 1));
    }

    @Test
    void anOperatorEndsATransactionByHand() throws Exception {
        String topic = Broker.topic(admin, "hanging", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (var producer = Broker.producer("transactional.id", Broker.unique("id"))) {
            producer.initTransactions();
            producer.beginTransaction();
            Broker.send(producer, topic, "never");
            var open = get(admin.describeProducers(List.of(partition)).partitionResult(partition))
                .activeProducers().get(0);
            assertTrue(open.currentTransactionStartOffset().isPresent());
            get(admin.abortTransaction(new AbortTransactionSpec(partition, open.producerId(),
                (short) open.producerEpoch(), open.coordinatorEpoch().orElse(0))).all());
            var ended = get(admin.describeProducers(List.of(partition)).partitionResult(partition))
                .activeProducers().get(0);
            assertTrue(ended.currentTransactionStartOffset().isEmpty());
        }
        try (var producer = Broker.producer()) {
            Broker.send(producer, topic, "after");
        }
        assertEquals(List.of("after"), committed(topic, 1));
    }

    @Test
    void offsetsInsideATransaction() throws Exception {
        String topic = Broker.topic(admin, "inside", 1);
        String group = Broker.unique("group");
        TopicPartition partition = new TopicPartition(topic, 0);
        try (var consumer = Broker.consumer(group);
                var producer = Broker.producer("transactional.id", Broker.unique("id"))) {
            producer.initTransactions();
            consumer.subscribe(List.of(topic));
            producer.beginTransaction();
            Broker.send(producer, topic, "x");
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(5)),
                consumer.groupMetadata());
            producer.abortTransaction();
            assertEquals(null, consumer.committed(java.util.Set.of(partition)).get(partition));
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(6)),
                consumer.groupMetadata());
            producer.commitTransaction();
            assertEquals(6, consumer.committed(java.util.Set.of(partition)).get(partition).offset());
        }
    }

    @Test
    void transactionsAreListedDescribedAndFencedByAnAdministrator() throws Exception {
        String topic = Broker.topic(admin, "admin", 1);
        String id = Broker.unique("id");
        TopicPartition partition = new TopicPartition(topic, 0);
        try (var producer = Broker.producer("transactional.id", id)) {
            producer.initTransactions();
            producer.beginTransaction();
            Broker.send(producer, topic, "open");
            var described = get(admin.describeTransactions(List.of(id)).all()).get(id);
            assertEquals(TransactionState.ONGOING, described.state());
            assertEquals(java.util.Set.of(partition), described.topicPartitions());
            assertTrue(get(admin.listTransactions().all()).stream()
                .anyMatch(listing -> listing.transactionalId().equals(id)));
            var open = get(admin.describeProducers(List.of(partition)).all()).get(partition)
                .activeProducers().get(0);
            assertEquals(0, open.currentTransactionStartOffset().getAsLong());
            get(admin.fenceProducers(List.of(id)).all());
            assertThrows(ProducerFencedException.class, producer::commitTransaction);
        }
        until("the abort", () -> {
            try {
                // Fencing aborts, and may go on to begin anew.
                var state = get(admin.describeTransactions(List.of(id)).all()).get(id).state();
                return state == TransactionState.COMPLETE_ABORT || state == TransactionState.EMPTY;
            } catch (Exception failed) {
                throw new AssertionError(failed);
            }
        });
    }
}
