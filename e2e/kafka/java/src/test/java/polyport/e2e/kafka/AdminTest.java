package polyport.e2e.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static polyport.e2e.kafka.Broker.get;
import static polyport.e2e.kafka.Broker.until;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.NoReassignmentInProgressException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.internals.Topic;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Java's admin client. */
@Timeout(60)
class AdminTest {
    private static Admin admin;

    @BeforeAll
    static void open() {
        admin = Broker.admin();
    }

    @AfterAll
    static void close() {
        admin.close();
    }

    @Test
    void topicsComeAndGoByNameAndById() throws Exception {
        String name = Broker.unique("topic");
        var created = admin.createTopics(List.of(new NewTopic(name, 2, (short) 1)
            .configs(Map.of("segment.bytes", "1048576"))));
        get(created.all());
        assertEquals(2, get(created.numPartitions(name)));
        assertEquals(1, get(created.replicationFactor(name)));
        Config config = get(created.config(name));
        assertEquals("1048576", config.get("segment.bytes").value());
        Uuid id = get(created.topicId(name));
        assertNotEquals(Uuid.ZERO_UUID, id);
        until("the topic", () -> names().contains(name));
        var byId = get(admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds()).get(id);
        assertEquals(name, byId.name());
        assertEquals(id, get(admin.describeTopics(List.of(name)).allTopicNames()).get(name).topicId());
        get(admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all());
        until("the end of the topic", () -> !names().contains(name));
        assertThrows(UnknownTopicIdException.class,
            () -> get(admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all()));
        assertThrows(UnknownTopicOrPartitionException.class,
            () -> get(admin.deleteTopics(List.of(name)).all()));
    }

    private static Set<String> names() {
        try {
            return get(admin.listTopics().names());
        } catch (Exception failed) {
            throw new AssertionError(failed);
        }
    }

    @Test
    void whatKafkaRefusesIsRefused() throws Exception {
        String topic = Broker.topic(admin, "refused", 1);
        assertThrows(TopicExistsException.class, () -> create(new NewTopic(topic, 1, (short) 1)));
        assertThrows(InvalidTopicException.class, () -> create(new NewTopic("a b", 1, (short) 1)));
        assertThrows(InvalidPartitionsException.class,
            () -> create(new NewTopic(Broker.unique("x"), 0, (short) 1)));
        assertThrows(InvalidReplicationFactorException.class,
            () -> create(new NewTopic(Broker.unique("x"), 1, (short) 3)));
        assertThrows(InvalidConfigurationException.class, () -> create(
            new NewTopic(Broker.unique("x"), 1, (short) 1).configs(Map.of("segment.bytes", "1"))));
        assertThrows(InvalidPartitionsException.class,
            () -> get(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(1))).all()));
    }

    private static void create(NewTopic topic) throws Exception {
        get(admin.createTopics(List.of(topic)).all());
    }

    @Test
    void refusalsSayWhy() throws Exception {
        String topic = Broker.topic(admin, "why", 1);
        var exists = assertThrows(TopicExistsException.class,
            () -> create(new NewTopic(topic, 1, (short) 1)));
        assertEquals("Topic '" + topic + "' already exists.", exists.getMessage());
        var fewer = assertThrows(InvalidPartitionsException.class,
            () -> get(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(1))).all()));
        assertTrue(fewer.getMessage().contains("1 partition"), fewer.getMessage());
    }

    @Test
    void aTopicWithoutNumbersTakesTheBrokersDefaults() throws Exception {
        String name = Broker.unique("defaults");
        create(new NewTopic(name, java.util.Optional.empty(), java.util.Optional.empty()));
        until("the topic", () -> names().contains(name));
        var seen = get(admin.describeTopics(List.of(name)).allTopicNames()).get(name);
        assertEquals(1, seen.partitions().size());
        get(admin.deleteTopics(List.of(name)).all());
    }

    @Test
    void configurationsHaveSynonymsTypesAndDocumentation() throws Exception {
        String topic = Broker.topic(admin, "config", 1, "retention.ms", "1000000",
            "segment.bytes", "1048576");
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        var options = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        Config config = get(admin.describeConfigs(List.of(resource), options).all()).get(resource);
        ConfigEntry retention = config.get("retention.ms");
        assertEquals("1000000", retention.value());
        assertEquals(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, retention.source());
        assertEquals(ConfigEntry.ConfigType.LONG, retention.type());
        // The broker's default has another name.
        var synonyms = config.get("segment.bytes").synonyms();
        assertEquals("segment.bytes", synonyms.get(0).name());
        assertEquals("log.segment.bytes", synonyms.get(1).name());
        assertEquals("1073741824", synonyms.get(1).value());
        assertEquals(ConfigEntry.ConfigSource.DEFAULT_CONFIG, synonyms.get(1).source());
        assertTrue(retention.documentation().length() > 40);
        get(admin.incrementalAlterConfigs(Map.of(resource, List.of(
            new AlterConfigOp(new ConfigEntry("retention.ms", ""), AlterConfigOp.OpType.DELETE),
            new AlterConfigOp(new ConfigEntry("flush.messages", "7"), AlterConfigOp.OpType.SET)))).all());
        until("the change", () -> {
            try {
                Config now = get(admin.describeConfigs(List.of(resource)).all()).get(resource);
                return now.get("retention.ms").value().equals("604800000")
                    && now.get("flush.messages").value().equals("7");
            } catch (Exception failed) {
                throw new AssertionError(failed);
            }
        });
    }

    @Test
    void offsetsRecordsAndLogDirectories() throws Exception {
        String topic = Broker.topic(admin, "offsets", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (var producer = Broker.producer()) {
            Broker.send(producer, topic, "a", "b", "c", "d");
        }
        var deleted = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(1)));
        assertEquals(1, get(deleted.lowWatermarks().get(partition)).lowWatermark());
        assertEquals(1, offset(partition, OffsetSpec.earliest()).offset());
        assertEquals(4, offset(partition, OffsetSpec.latest()).offset());
        assertEquals(3, offset(partition, OffsetSpec.maxTimestamp()).offset());
        assertEquals(1, offset(partition, OffsetSpec.forTimestamp(0)).offset());
        int broker = get(admin.describeCluster().controller()).id();
        var directories = get(admin.describeLogDirs(List.of(broker)).allDescriptions()).get(broker);
        var infos = directories.values().stream().flatMap(d -> d.replicaInfos().entrySet().stream())
            .filter(e -> e.getKey().equals(partition)).collect(Collectors.toList());
        assertEquals(1, infos.size());
        assertTrue(infos.get(0).getValue().size() > 0);
        assertEquals(0, infos.get(0).getValue().offsetLag());
        assertFalse(infos.get(0).getValue().isFuture());
        var producers = get(admin.describeProducers(List.of(partition)).all()).get(partition);
        assertEquals(1, producers.activeProducers().size());
        assertEquals(3, producers.activeProducers().get(0).lastSequence());
    }

    private static ListOffsetsResultInfo offset(TopicPartition partition, OffsetSpec spec) throws Exception {
        return get(admin.listOffsets(Map.of(partition, spec)).all()).get(partition);
    }

    @Test
    void theClusterAndInternalTopics() throws Exception {
        var cluster = admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true));
        assertEquals(1, get(cluster.nodes()).size());
        assertEquals(22, get(cluster.clusterId()).length());
        try (var consumer = Broker.consumer(Broker.unique("group"))) {
            String topic = Broker.topic(admin, "internal", 1);
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            consumer.commitSync(Map.of(new TopicPartition(topic, 0),
                new org.apache.kafka.clients.consumer.OffsetAndMetadata(0)));
        }
        assertFalse(names().contains(Topic.GROUP_METADATA_TOPIC_NAME));
        var all = get(admin.listTopics(new ListTopicsOptions().listInternal(true)).namesToListings());
        assertTrue(all.get(Topic.GROUP_METADATA_TOPIC_NAME).isInternal());
        var config = new ConfigResource(ConfigResource.Type.TOPIC, Topic.GROUP_METADATA_TOPIC_NAME);
        assertEquals("compact",
            get(admin.describeConfigs(List.of(config)).all()).get(config).get("cleanup.policy").value());
    }

    @Test
    @Tag("reassignment")
    void electionsAndReassignmentsOfWhatNeedsNone() throws Exception {
        String topic = Broker.topic(admin, "election", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        var elected = get(admin.electLeaders(ElectionType.PREFERRED, Set.of(partition)).partitions());
        assertTrue(elected.get(partition).get() instanceof ElectionNotNeededException);
        assertTrue(get(admin.listPartitionReassignments().reassignments()).isEmpty());
        assertThrows(NoReassignmentInProgressException.class, () -> get(
            admin.alterPartitionReassignments(Map.of(partition, java.util.Optional.empty())).all()));
    }

    @Test
    void theBrokersFeatures() throws Exception {
        assertTrue(get(admin.describeFeatures().featureMetadata()) != null);
    }
}
