package polyport.e2e.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static polyport.e2e.kafka.Broker.get;
import static polyport.e2e.kafka.Broker.until;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.ConsumerGroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Java's consumer groups, of both protocols. */
@Timeout(90)
class GroupTest {
    private static Admin admin;
    private final List<Member> members = new ArrayList<>();

    @BeforeAll
    static void open() {
        admin = Broker.admin();
    }

    @AfterAll
    static void close() {
        admin.close();
    }

    @AfterEach
    void leave() throws Exception {
        for (Member member : members) {
            member.stop();
        }
    }

    /** A consumer that is polled on a thread of its own. */
    private final class Member {
        private final KafkaConsumer<String, String> consumer;
        private final Thread thread;
        private volatile Set<TopicPartition> assigned = Set.of();
        private volatile Exception error;

        Member(String group, Object topics, Object... pairs) {
            consumer = Broker.consumer(group, pairs);
            if (topics instanceof Pattern pattern) {
                consumer.subscribe(pattern);
            } else {
                consumer.subscribe(List.of((String) topics));
            }
            thread = new Thread(this::run);
            thread.start();
            members.add(this);
        }

        private void run() {
            try (consumer) {
                while (true) {
                    consumer.poll(Duration.ofMillis(50));
                    assigned = new HashSet<>(consumer.assignment());
                }
            } catch (WakeupException told) {
                assigned = Set.of();
            } catch (Exception failed) {
                error = failed;
                assigned = Set.of();
            }
        }

        void stop() throws InterruptedException {
            consumer.wakeup();
            thread.join(20_000);
            assertFalse(thread.isAlive());
        }
    }

    private static void shared(int partitions, Member... members) throws InterruptedException {
        until("a whole assignment", () -> {
            Set<TopicPartition> all = new HashSet<>();
            int sum = 0;
            int least = Integer.MAX_VALUE;
            for (Member member : members) {
                all.addAll(member.assigned);
                sum += member.assigned.size();
                least = Math.min(least, member.assigned.size());
            }
            return all.size() == partitions && sum == partitions && least == partitions / members.length;
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"Range", "RoundRobin", "Sticky", "CooperativeSticky"})
    void threeMembersComeAndGo(String assignor) throws Exception {
        come("partition.assignment.strategy",
            "org.apache.kafka.clients.consumer." + assignor + "Assignor");
    }

    @ParameterizedTest
    @ValueSource(strings = {"uniform", "range"})
    @Tag("consumer_protocol")
    void threeMembersOfTheNewProtocol(String assignor) throws Exception {
        come("group.protocol", "consumer", "group.remote.assignor", assignor);
    }

    private void come(Object... options) throws Exception {
        String topic = Broker.topic(admin, "share", 6);
        String group = Broker.unique("group");
        Member one = new Member(group, topic, options);
        shared(6, one);
        Member two = new Member(group, topic, options);
        shared(6, one, two);
        Member three = new Member(group, topic, options);
        shared(6, one, two, three);
        two.stop();
        shared(6, one, three);
        one.stop();
        shared(6, three);
    }

    @Test
    void aStaticMemberReturnsToItsPartitions() throws Exception {
        staysStatic();
    }

    @Test
    @Tag("consumer_protocol")
    void aStaticMemberOfTheNewProtocolReturns() throws Exception {
        staysStatic("group.protocol", "consumer");
    }

    private void staysStatic(Object... options) throws Exception {
        String topic = Broker.topic(admin, "static", 4);
        String group = Broker.unique("group");
        List<Object> all = new ArrayList<>(List.of(options));
        all.addAll(List.of("group.instance.id", "one"));
        Member one = new Member(group, topic, all.toArray());
        shared(4, one);
        all.set(all.size() - 1, "two");
        Member two = new Member(group, topic, all.toArray());
        shared(4, one, two);
        Set<TopicPartition> before = two.assigned;
        two.stop();
        Member again = new Member(group, topic, all.toArray());
        until("the same partitions", () -> again.assigned.equals(before));
    }

    @Test
    void aPatternAndLaterTopics() throws Exception {
        pattern();
    }

    @Test
    @Tag("consumer_protocol")
    void aPatternAndLaterTopicsOfTheNewProtocol() throws Exception {
        pattern("group.protocol", "consumer");
    }

    private void pattern(Object... options) throws Exception {
        String first = Broker.topic(admin, "pattern-x", 1);
        Member member = new Member(Broker.unique("group"),
            Pattern.compile("java-pattern-x-" + ProcessHandle.current().pid() + "-.*"), options);
        until("the first", () -> member.assigned.contains(new TopicPartition(first, 0)));
        String second = Broker.topic(admin, "pattern-x", 1);
        until("the second", () -> member.assigned.contains(new TopicPartition(second, 0)));
    }

    @Test
    void commitsSyncAsyncAndTheirAdministration() throws Exception {
        commits();
    }

    @Test
    @Tag("consumer_protocol")
    void commitsOfTheNewProtocol() throws Exception {
        commits("group.protocol", "consumer");
    }

    private void commits(Object... options) throws Exception {
        String topic = Broker.topic(admin, "commits", 1);
        String group = Broker.unique("group");
        TopicPartition partition = new TopicPartition(topic, 0);
        try (var producer = Broker.producer()) {
            Broker.send(producer, topic, "0", "1", "2", "3");
        }
        try (var consumer = Broker.consumer(group, options)) {
            consumer.subscribe(List.of(topic));
            assertEquals(List.of("0", "1", "2", "3"), Broker.take(consumer, 4));
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(1)));
            assertEquals(1, consumer.committed(Set.of(partition)).get(partition).offset());
            var told = new java.util.concurrent.CompletableFuture<Exception>();
            consumer.commitAsync(Map.of(partition, new OffsetAndMetadata(2, "here")),
                (offsets, error) -> told.complete(error));
            until("the answer", () -> {
                consumer.poll(Duration.ofMillis(20));
                return told.isDone();
            });
            assertEquals(null, told.get(1, TimeUnit.SECONDS));
            assertThrows(GroupNotEmptyException.class,
                () -> get(admin.deleteConsumerGroups(List.of(group)).all()));
            assertThrows(GroupSubscribedToTopicException.class,
                () -> get(admin.deleteConsumerGroupOffsets(group, Set.of(partition)).all()));
            var described = get(admin.describeConsumerGroups(List.of(group)).all()).get(group);
            assertEquals(ConsumerGroupState.STABLE, described.state());
            assertEquals(1, described.members().size());
            assertEquals(Set.of(partition),
                described.members().iterator().next().assignment().topicPartitions());
            assertEquals(options.length == 0 ? GroupType.CLASSIC : GroupType.CONSUMER, described.type());
        }
        try (var again = Broker.consumer(group, options)) {
            again.subscribe(List.of(topic));
            assertEquals(List.of("2", "3"), Broker.take(again, 2));
        }
        until("an empty group", () -> state(group) == ConsumerGroupState.EMPTY);
        var spec = Map.of(group, new ListConsumerGroupOffsetsSpec());
        var offsets = get(admin.listConsumerGroupOffsets(spec).all()).get(group);
        assertEquals(Map.of(partition, new OffsetAndMetadata(2, java.util.Optional.empty(), "here")).keySet(),
            offsets.keySet());
        assertEquals("here", offsets.get(partition).metadata());
        get(admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(3))).all());
        assertEquals(3, get(admin.listConsumerGroupOffsets(spec).all()).get(group).get(partition).offset());
        get(admin.deleteConsumerGroupOffsets(group, Set.of(partition)).all());
        // Kafka's older coordinator forgets a group with its last offset, the newer one later.
        get(admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(3))).all());
        get(admin.deleteConsumerGroups(List.of(group)).all());
        assertThrows(GroupIdNotFoundException.class,
            () -> get(admin.deleteConsumerGroups(List.of(group)).all()));
    }

    private static ConsumerGroupState state(String group) {
        try {
            return get(admin.describeConsumerGroups(List.of(group)).all()).get(group).state();
        } catch (Exception failed) {
            throw new AssertionError(failed);
        }
    }

    @Test
    void aStaticMemberIsRemovedByHand() throws Exception {
        String topic = Broker.topic(admin, "remove", 2);
        String group = Broker.unique("group");
        Member stays = new Member(group, topic, "group.instance.id", "stays", "session.timeout.ms", "30000");
        Member goes = new Member(group, topic, "group.instance.id", "goes", "session.timeout.ms", "30000");
        shared(2, stays, goes);
        goes.stop();
        get(admin.removeMembersFromConsumerGroup(group,
            new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("goes")))).all());
        shared(2, stays);
    }

    @Test
    void aMemberThatPollsTooLateMayNotCommit() throws Exception {
        String topic = Broker.topic(admin, "late", 1);
        String group = Broker.unique("group");
        try (var producer = Broker.producer(); var slow = Broker.consumer(group,
                "max.poll.interval.ms", "300", "max.poll.records", "1", "session.timeout.ms", "600")) {
            Broker.send(producer, topic, "x");
            slow.subscribe(List.of(topic));
            Broker.take(slow, 1);
            until("its removal", () -> state(group) == ConsumerGroupState.EMPTY);
            assertThrows(CommitFailedException.class, slow::commitSync);
        }
    }

    @Test
    void theOffsetsTopicIsKafkas() throws Exception {
        String topic = Broker.topic(admin, "offsets-topic", 1);
        String group = Broker.unique("group");
        try (var consumer = Broker.consumer(group)) {
            consumer.subscribe(List.of(topic));
            until("its share", () -> {
                consumer.poll(Duration.ofMillis(50));
                return !consumer.assignment().isEmpty();
            });
            consumer.commitSync(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(7, "seven")));
        }
        var offsets = new org.apache.kafka.tools.consumer.OffsetsMessageFormatter();
        var groups = new org.apache.kafka.tools.consumer.GroupMetadataMessageFormatter();
        List<String> lines = new ArrayList<>();
        try (var reader = new KafkaConsumer<>(Broker.options("bootstrap.servers", Broker.BOOTSTRAP,
                    "auto.offset.reset", "earliest"), new ByteArrayDeserializer(),
                    new ByteArrayDeserializer())) {
            var partitions = reader.partitionsFor("__consumer_offsets").stream()
                .map(p -> new TopicPartition(p.topic(), p.partition())).toList();
            reader.assign(partitions);
            reader.seekToBeginning(partitions);
            until("the records", () -> {
                for (var record : reader.poll(Duration.ofMillis(100))) {
                    var bytes = new ByteArrayOutputStream();
                    var out = new PrintStream(bytes, true);
                    // Each formatter may fail on what is not its own, such as the new protocol's.
                    short kind = java.nio.ByteBuffer.wrap(record.key()).getShort();
                    if (kind <= 1) {
                        offsets.writeTo(record, out);
                    } else if (kind == 2) {
                        groups.writeTo(record, out);
                    }
                    if (bytes.toString().contains("\"group\":\"" + group + "\"")) {
                        lines.add(bytes.toString());
                    }
                }
                return lines.stream().anyMatch(l -> l.contains("\"metadata\":\"seven\""))
                    && lines.stream().anyMatch(l -> l.contains("\"protocolType\":\"consumer\""));
            });
        }
        String line = lines.stream().filter(l -> l.contains("\"metadata\":\"seven\"")).findFirst().get();
        String start = "{\"key\":{\"type\":1,\"data\":{\"group\":\"" + group + "\",\"topic\":\"" + topic
            + "\",\"partition\":0}},\"value\":{\"version\":3,\"data\":{\"offset\":7,\"leaderEpoch\":-1,"
            + "\"metadata\":\"seven\",\"commitTimestamp\":";
        assertTrue(line.replace("{\"version\":1,\"data\":{\"group\"", "{\"type\":1,\"data\":{\"group\"")
            .startsWith(start), line);
    }
}
