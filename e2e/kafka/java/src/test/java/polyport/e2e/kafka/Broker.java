package polyport.e2e.kafka;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The broker under test, and clients of it. */
final class Broker {
    static final String BOOTSTRAP = System.getProperty("kafka.bootstrap");
    private static final AtomicInteger COUNT = new AtomicInteger();

    private Broker() {}

    static String unique(String word) {
        return "java-" + word + "-" + ProcessHandle.current().pid() + "-" + COUNT.incrementAndGet();
    }

    static Map<String, Object> options(Object... pairs) {
        Map<String, Object> made = new HashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            made.put((String) pairs[i], pairs[i + 1]);
        }
        return made;
    }

    static Admin admin() {
        return Admin.create(options("bootstrap.servers", BOOTSTRAP));
    }

    static KafkaProducer<String, String> producer(Object... pairs) {
        Map<String, Object> all = options("bootstrap.servers", BOOTSTRAP, "linger.ms", "1",
            "delivery.timeout.ms", "20000", "request.timeout.ms", "10000");
        all.putAll(options(pairs));
        return new KafkaProducer<>(all, new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(String group, Object... pairs) {
        Map<String, Object> all = options("bootstrap.servers", BOOTSTRAP, "group.id", group,
            "auto.offset.reset", "earliest", "enable.auto.commit", "false", "fetch.max.wait.ms", "100",
            "allow.auto.create.topics", "false", "metadata.max.age.ms", "500");
        if (!options(pairs).containsValue("consumer")) {
            all.putAll(options("session.timeout.ms", "6000", "heartbeat.interval.ms", "200"));
        }
        all.putAll(options(pairs));
        return new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer());
    }

    static String topic(Admin admin, String word, int partitions, String... config) throws Exception {
        String name = unique(word);
        Map<String, String> configs = new HashMap<>();
        for (int i = 0; i < config.length; i += 2) {
            configs.put(config[i], config[i + 1]);
        }
        get(admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1).configs(configs))).all());
        until("the topic " + name, () -> hasLeaders(admin, name, partitions));
        return name;
    }

    private static boolean hasLeaders(Admin admin, String topic, int partitions) {
        try {
            var seen = get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic).partitions();
            return seen.size() == partitions && seen.stream().allMatch(p -> p.leader() != null);
        } catch (UnknownTopicOrPartitionException notThere) {
            return false;
        } catch (Exception failed) {
            throw new AssertionError(failed);
        }
    }

    static void send(KafkaProducer<String, String> producer, String topic, String... values)
            throws Exception {
        for (String value : values) {
            producer.send(new ProducerRecord<>(topic, value)).get(20, TimeUnit.SECONDS);
        }
    }

    static List<String> take(KafkaConsumer<String, String> consumer, int count) {
        List<String> values = new ArrayList<>();
        long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (values.size() < count) {
            if (System.nanoTime() > end) {
                throw new AssertionError(values.size() + " of " + count + " records: " + values);
            }
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                values.add(record.value());
            }
        }
        return values;
    }

    /** The result, or the error itself rather than the wrapper of it. */
    static <T> T get(KafkaFuture<T> future) throws Exception {
        try {
            return future.get(20, TimeUnit.SECONDS);
        } catch (ExecutionException wrapper) {
            if (wrapper.getCause() instanceof Exception cause) {
                throw cause;
            }
            throw wrapper;
        }
    }

    static void until(String what, BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > end) {
                throw new AssertionError(what + " did not come about");
            }
            Thread.sleep(20);
        }
    }
}
