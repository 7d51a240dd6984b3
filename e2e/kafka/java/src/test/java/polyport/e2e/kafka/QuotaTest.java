package polyport.e2e.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static polyport.e2e.kafka.Broker.get;
import static polyport.e2e.kafka.Broker.until;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidRequestException;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.quota.ClientQuotaFilterComponent;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Client quotas: set, described, and felt by Java's clients. */
@Timeout(90)
class QuotaTest {
    private static Admin admin;

    @BeforeAll
    static void open() {
        admin = Broker.admin();
    }

    @AfterAll
    static void close() {
        admin.close();
    }

    /** Kinds and names in turn. */
    private static ClientQuotaEntity entity(String... parts) {
        Map<String, String> entries = new HashMap<>();
        for (int i = 0; i < parts.length; i += 2) {
            entries.put(parts[i], parts[i + 1]);
        }
        return new ClientQuotaEntity(entries);
    }

    private static void alter(ClientQuotaEntity entity, String key, Double value) throws Exception {
        var op = new ClientQuotaAlteration.Op(key, value);
        get(admin.alterClientQuotas(List.of(new ClientQuotaAlteration(entity, List.of(op)))).all());
    }

    /** Sets a quota, and waits until the broker answers with it. */
    private static void set(ClientQuotaEntity entity, String key, double value) throws Exception {
        alter(entity, key, value);
        until("the quota", () -> Map.of(key, value).equals(described(entity)));
    }

    private static Map<String, Double> described(ClientQuotaEntity entity) {
        var components = entity.entries().entrySet().stream().map(entry -> entry.getValue() == null
            ? ClientQuotaFilterComponent.ofDefaultEntity(entry.getKey())
            : ClientQuotaFilterComponent.ofEntity(entry.getKey(), entry.getValue())).toList();
        return describe(ClientQuotaFilter.containsOnly(components)).get(entity);
    }

    private static Map<ClientQuotaEntity, Map<String, Double>> describe(ClientQuotaFilter filter) {
        try {
            return get(admin.describeClientQuotas(filter).entities());
        } catch (Exception failed) {
            throw new AssertionError(failed);
        }
    }

    private static double metric(Map<MetricName, ? extends Metric> metrics, String name) {
        return metrics.entrySet().stream()
            .filter(entry -> entry.getKey().name().equals(name))
            .map(entry -> (Double) entry.getValue().metricValue())
            .filter(value -> !value.isNaN())
            .mapToDouble(Double::doubleValue).max().orElse(0);
    }

    @Test
    void quotasOfEveryKindAreDescribedAsSet() throws Exception {
        String user = Broker.unique("user %=*");
        String client = Broker.unique("client");
        set(entity("user", user), "producer_byte_rate", 1000);
        set(entity("user", user, "client-id", client), "consumer_byte_rate", 2000);
        set(entity("user", user, "client-id", null), "request_percentage", 12.5);
        set(entity("client-id", client), "controller_mutation_rate", 5);
        set(entity("ip", "127.0.0.9"), "connection_creation_rate", 7);
        var ofUser = describe(ClientQuotaFilter.contains(
            List.of(ClientQuotaFilterComponent.ofEntity("user", user))));
        assertEquals(3, ofUser.size(), ofUser.toString());
        var strictly = describe(ClientQuotaFilter.containsOnly(
            List.of(ClientQuotaFilterComponent.ofEntity("user", user))));
        assertEquals(Map.of(entity("user", user), Map.of("producer_byte_rate", 1000.0)), strictly);
        var clients = describe(ClientQuotaFilter.containsOnly(
            List.of(ClientQuotaFilterComponent.ofEntityType("client-id"))));
        assertEquals(Map.of("controller_mutation_rate", 5.0), clients.get(entity("client-id", client)));
        alter(entity("user", user), "producer_byte_rate", null);
        until("its removal", () -> described(entity("user", user)) == null);
        alter(entity("ip", "127.0.0.9"), "connection_creation_rate", null);
        alter(entity("client-id", client), "controller_mutation_rate", null);
    }

    @Test
    void nonsenseIsRefused() {
        var user = entity("user", Broker.unique("user"));
        assertThrows(InvalidRequestException.class, () -> alter(user, "x", 1.0));
        assertThrows(InvalidRequestException.class, () -> alter(user, "producer_byte_rate", 1.5));
        assertThrows(InvalidRequestException.class,
            () -> alter(user, "connection_creation_rate", 1.0));
        assertThrows(InvalidRequestException.class,
            () -> alter(entity("ip", "127.0.0.9", "user", "u"), "connection_creation_rate", 1.0));
        assertThrows(InvalidRequestException.class,
            () -> alter(entity("ip", "no such host"), "connection_creation_rate", 1.0));
    }

    @Test
    void aProducerIsHeldToItsRate() throws Exception {
        String topic = Broker.topic(admin, "quota", 1);
        String client = Broker.unique("producer");
        set(entity("client-id", client), "producer_byte_rate", 20_000);
        String value = "x".repeat(50_000);
        try (var slow = Broker.producer("client.id", client);
                var free = Broker.producer("client.id", client + "-other")) {
            // The window takes ten seconds' worth at once.
            for (int n = 0; n < 5; n++) {
                Broker.send(slow, topic, value);
                Broker.send(free, topic, value);
            }
            assertTrue(metric(slow.metrics(), "produce-throttle-time-max") > 500,
                "the producer was throttled");
            assertEquals(0, metric(free.metrics(), "produce-throttle-time-max"));
        }
        alter(entity("client-id", client), "producer_byte_rate", null);
    }

    @Test
    void aConsumerIsHeldToItsRateAndLosesNothing() throws Exception {
        String topic = Broker.topic(admin, "quota", 1);
        String client = Broker.unique("consumer");
        try (var producer = Broker.producer()) {
            for (int n = 0; n < 6; n++) {
                Broker.send(producer, topic, n + "x".repeat(50_000));
            }
        }
        set(entity("user", null, "client-id", client), "consumer_byte_rate", 20_000);
        try (var consumer = Broker.consumer(Broker.unique("group"), "client.id", client,
                "max.partition.fetch.bytes", "60000")) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            consumer.poll(Duration.ZERO);
            var values = Broker.take(consumer, 6).stream().map(value -> value.substring(0, 1)).toList();
            assertEquals(List.of("0", "1", "2", "3", "4", "5"), values);
            until("a throttled fetch", () -> {
                consumer.poll(Duration.ofMillis(50));
                return metric(consumer.metrics(), "fetch-throttle-time-max") > 0;
            });
        }
        alter(entity("user", null, "client-id", client), "consumer_byte_rate", null);
    }

    @Test
    void aClientThatKeepsTheBrokerBusyIsThrottled() throws Exception {
        String topic = Broker.topic(admin, "quota", 1);
        String client = Broker.unique("busy");
        set(entity("client-id", client), "request_percentage", 0.001);
        try (var producer = Broker.producer("client.id", client)) {
            until("a throttled request", () -> {
                try {
                    Broker.send(producer, topic, "x");
                } catch (Exception failed) {
                    throw new AssertionError(failed);
                }
                return metric(producer.metrics(), "produce-throttle-time-max") > 0;
            });
        }
        alter(entity("client-id", client), "request_percentage", null);
    }
}
