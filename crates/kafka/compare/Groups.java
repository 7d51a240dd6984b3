import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/** Has a broker keep groups of each kind: Groups BROKER [consumer]. Members stay in them. */
public class Groups {
    static Properties properties(String broker, String group, Object... more) {
        Properties of = new Properties();
        of.put("bootstrap.servers", broker);
        of.put("group.id", group);
        of.put("enable.auto.commit", "false");
        of.put("auto.offset.reset", "earliest");
        of.put("key.deserializer", StringDeserializer.class.getName());
        of.put("value.deserializer", StringDeserializer.class.getName());
        for (int at = 0; at < more.length; at += 2) of.put(more[at], more[at + 1]);
        return of;
    }

    static Map<TopicPartition, OffsetAndMetadata> offset(int partition, long offset) {
        return Map.of(new TopicPartition("topic", partition),
            new OffsetAndMetadata(offset, Optional.of(0), "words"));
    }

    static Consumer<String, String> join(Properties properties) {
        Consumer<String, String> consumer = new KafkaConsumer<>(properties);
        consumer.subscribe(List.of("topic"));
        long end = System.currentTimeMillis() + 60_000;
        while (consumer.assignment().isEmpty()) {
            if (System.currentTimeMillis() > end) throw new IllegalStateException("no assignment");
            consumer.poll(Duration.ofMillis(100));
        }
        return consumer;
    }

    public static void main(String[] arguments) throws Exception {
        String broker = arguments[0];
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker))) {
            admin.createTopics(List.of(new NewTopic("topic", 3, (short) 1))).all().get();
            admin.alterConsumerGroupOffsets("simple", offset(0, 11)).all().get();
            Consumer<String, String> classic = join(properties(broker, "classic",
                "group.instance.id", "instance", "partition.assignment.strategy",
                "org.apache.kafka.clients.consumer.RangeAssignor"));
            classic.commitSync(offset(0, 21));
            Properties writer = new Properties();
            writer.put("bootstrap.servers", broker);
            writer.put("transactional.id", "id");
            writer.put("key.serializer", StringSerializer.class.getName());
            writer.put("value.serializer", StringSerializer.class.getName());
            try (Producer<String, String> producer = new KafkaProducer<>(writer)) {
                producer.initTransactions();
                for (int partition = 0; partition < 2; partition++) {
                    producer.beginTransaction();
                    producer.sendOffsetsToTransaction(offset(partition, 31),
                        new ConsumerGroupMetadata("transactional"));
                    if (partition == 0) producer.commitTransaction();
                    else producer.abortTransaction();
                }
            }
            if (arguments.length > 1) {
                Consumer<String, String> modern = join(properties(broker, "modern",
                    "group.protocol", "consumer", "group.remote.assignor", "range"));
                modern.commitSync(offset(2, 41));
            }
            admin.alterConsumerGroupOffsets("deleted", offset(0, 41)).all().get();
            admin.deleteConsumerGroups(List.of("deleted")).all().get();
        }
        // Without a farewell, so that the log says who is in the groups.
        Runtime.getRuntime().halt(0);
    }
}
