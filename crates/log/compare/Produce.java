// Writes known records to a topic with a real client: plain, compressed, idempotent, transactional.
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

public class Produce {
    public static void main(String[] arguments) throws Exception {
        String topic = arguments[1];
        int number = 0;
        for (String codec : new String[] {"none", "gzip", "snappy", "lz4", "zstd"}) {
            for (boolean transactional : new boolean[] {false, true}) {
                Map<String, Object> config = new HashMap<>();
                config.put("bootstrap.servers", arguments[0]);
                config.put("compression.type", codec);
                config.put("linger.ms", 5);
                if (transactional) {
                    config.put("transactional.id", "t-" + codec);
                }
                try (KafkaProducer<String, String> producer =
                        new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
                    if (transactional) {
                        producer.initTransactions();
                    }
                    for (int round = 0; round < 2; round++) {
                        if (transactional) {
                            producer.beginTransaction();
                        }
                        for (int index = 0; index < 200; index++, number++) {
                            ProducerRecord<String, String> record = new ProducerRecord<>(
                                topic, 0, 1700000000000L + number, "k" + number, "v" + number + "x".repeat(number % 500));
                            record.headers().add("h", "1".getBytes(StandardCharsets.UTF_8));
                            producer.send(record);
                        }
                        if (transactional) {
                            producer.flush();
                            if (round == 0) producer.abortTransaction(); else producer.commitTransaction();
                        }
                    }
                }
            }
        }
    }
}
