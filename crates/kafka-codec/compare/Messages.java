import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.MemoryRecords;

/**
 * Kafka's own classes write messages for us to read, and read what we wrote.
 *
 *     Messages write NAMES FILE   NAMES has a line a message: its name, first and last version
 *     Messages check FILE
 *     Messages errors
 *
 * A file is a sequence of: name (as writeUTF), version (2 bytes), 1 if nothing was set in the message
 * (1 byte), length (4), the message.
 */
class Messages {
    static final String[] PACKAGES = {
        "org.apache.kafka.common.message.",
        "org.apache.kafka.coordinator.group.generated.",
        "org.apache.kafka.coordinator.transaction.generated.",
    };
    static final int VARIANTS = 40;
    static final String[] TEXTS = {"", "a", "topic-name", "gr\u00fc\u00dfe \u2603", "x".repeat(127), "y".repeat(300)};
    static final long[] NUMBERS = {0, 1, -1, 127, -128, 32767, Integer.MAX_VALUE, Integer.MIN_VALUE, Long.MAX_VALUE};

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "write" -> write(Files.readAllLines(Path.of(args[1])), args[2]);
            case "check" -> check(args[1]);
            case "errors" -> errors();
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    static Class<?> type(String name) throws ClassNotFoundException {
        for (String start : PACKAGES) {
            for (String end : new String[] {"Data", ""}) {
                try {
                    return Class.forName(start + name + end);
                } catch (ClassNotFoundException e) {
                    // The next one.
                }
            }
        }
        throw new ClassNotFoundException(name);
    }

    static Message message(String name) throws Exception {
        return (Message) type(name).getDeclaredConstructor().newInstance();
    }

    static byte[] bytes(Message message, short version) {
        ByteBuffer buffer = MessageUtil.toByteBuffer(message, version);
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return bytes;
    }

    static void write(List<String> names, String file) throws Exception {
        try (var out = new DataOutputStream(new BufferedOutputStream(new FileOutputStream(file)))) {
            for (String line : names) {
                String[] words = line.split(" ");
                Schema[] schemas = (Schema[]) type(words[0]).getField("SCHEMAS").get(null);
                for (short version = Short.parseShort(words[1]); version <= Short.parseShort(words[2]); version++) {
                    put(out, words[0], version, true, bytes(message(words[0]), version));
                    for (int variant = 0; variant < VARIANTS; variant++) {
                        Random random = new Random(words[0].hashCode() * 1000L + version * 50L + variant);
                        Struct struct = (Struct) fill(withNulls(schemas[version]), random);
                        ByteBuffer buffer = ByteBuffer.allocate(struct.sizeOf());
                        struct.writeTo(buffer);
                        buffer.flip();
                        Message message = message(words[0]);
                        message.read(new ByteBufferAccessor(buffer), version);
                        if (buffer.hasRemaining()) throw new IllegalStateException(line);
                        put(out, words[0], version, false, bytes(message, version));
                    }
                }
            }
        }
    }

    static void put(DataOutputStream out, String name, short version, boolean isNew, byte[] bytes)
        throws IOException {
        out.writeUTF(name);
        out.writeShort(version);
        out.writeBoolean(isNew);
        out.writeInt(bytes.length);
        out.write(bytes);
    }

    /** Structs that may be null, of which Kafka's SCHEMAS say nothing, while its messages have a byte for it. */
    static final Set<String> NULLABLE_STRUCTS = Set.of("assignment", "cursor", "next_cursor", "classic_member_metadata");

    static class OrNull extends Type {
        final Schema schema;
        final int none;

        OrNull(Schema schema, boolean tagged) {
            this.schema = schema;
            this.none = tagged ? 0 : -1;
        }

        @Override
        public boolean isNullable() {
            return true;
        }

        @Override
        public void write(ByteBuffer buffer, Object value) {
            buffer.put((byte) (value == null ? none : 1));
            if (value != null) schema.write(buffer, value);
        }

        @Override
        public Object read(ByteBuffer buffer) {
            throw new UnsupportedOperationException();
        }

        @Override
        public Object validate(Object value) {
            return value;
        }

        @Override
        public int sizeOf(Object value) {
            return value == null ? 1 : 1 + schema.sizeOf(value);
        }
    }

    static Field withNulls(Field field, boolean inTag) throws ReflectiveOperationException {
        if (field.type instanceof Schema schema && NULLABLE_STRUCTS.contains(field.name)) {
            return new Field(field.name, new OrNull(schema, inTag));
        }
        if (field.type instanceof TaggedFields tagged) {
            Map<Integer, Field> fields = new TreeMap<>(fields(tagged));
            for (Map.Entry<Integer, Field> entry : fields.entrySet()) entry.setValue(withNulls(entry.getValue(), true));
            return new Field(field.name, new TaggedFields(fields));
        }
        return field;
    }

    static Schema withNulls(Schema schema) throws ReflectiveOperationException {
        BoundField[] fields = schema.fields();
        Field[] patched = new Field[fields.length];
        for (int at = 0; at < fields.length; at++) patched[at] = withNulls(fields[at].def, false);
        return new Schema(patched);
    }

    @SuppressWarnings("unchecked")
    static Map<Integer, Field> fields(TaggedFields tagged) throws ReflectiveOperationException {
        var fields = TaggedFields.class.getDeclaredField("fields");
        fields.setAccessible(true);
        return (Map<Integer, Field>) fields.get(tagged);
    }

    static Object fill(Type type, Random random) throws ReflectiveOperationException {
        if (type.isNullable() && random.nextInt(4) == 0) return null;
        if (type instanceof TaggedFields tagged) {
            Map<Integer, Object> values = new TreeMap<>();
            for (Map.Entry<Integer, Field> field : fields(tagged).entrySet()) {
                if (random.nextBoolean()) values.put(field.getKey(), fill(field.getValue().type, random));
            }
            return values;
        }
        if (type instanceof OrNull some) return fill(some.schema, random);
        if (type instanceof Schema schema) {
            Struct struct = new Struct(schema);
            for (BoundField field : schema.fields()) struct.set(field, fill(field.def.type, random));
            return struct;
        }
        if (type.isArray()) {
            Object[] items = new Object[random.nextInt(4)];
            for (int at = 0; at < items.length; at++) items[at] = fill(type.arrayElementType().get(), random);
            return items;
        }
        long number = random.nextInt(3) == 0 ? random.nextLong() : NUMBERS[random.nextInt(NUMBERS.length)];
        byte[] bytes = new byte[random.nextInt(200)];
        random.nextBytes(bytes);
        String name = ((Type.DocumentedType) type).typeName();
        return switch (name) {
            case "BOOLEAN" -> random.nextBoolean();
            case "INT8" -> (byte) number;
            case "INT16" -> (short) number;
            case "UINT16" -> (int) number & 0xffff;
            case "INT32" -> (int) number;
            case "INT64" -> number;
            case "FLOAT64" -> random.nextGaussian();
            case "UUID" -> new Uuid(number, random.nextLong());
            case "STRING", "NULLABLE_STRING", "COMPACT_STRING", "COMPACT_NULLABLE_STRING" ->
                TEXTS[random.nextInt(TEXTS.length)];
            case "BYTES", "NULLABLE_BYTES", "COMPACT_BYTES", "COMPACT_NULLABLE_BYTES" -> ByteBuffer.wrap(bytes);
            case "RECORDS", "COMPACT_RECORDS" -> MemoryRecords.readableRecords(ByteBuffer.wrap(bytes));
            default -> throw new IllegalArgumentException(name);
        };
    }

    static void check(String file) throws Exception {
        int count = 0;
        int wrong = 0;
        try (var in = new DataInputStream(new BufferedInputStream(new FileInputStream(file)))) {
            while (in.available() > 0) {
                String name = in.readUTF();
                short version = in.readShort();
                in.readBoolean();
                byte[] bytes = in.readNBytes(in.readInt());
                ByteBuffer buffer = ByteBuffer.wrap(bytes);
                Message message = message(name);
                message.read(new ByteBufferAccessor(buffer), version);
                if (buffer.hasRemaining() || !Arrays.equals(bytes, bytes(message, version))) {
                    System.err.println(name + " version " + version + ": " + message);
                    wrong++;
                }
                count++;
            }
        }
        System.out.println("Kafka reads " + count + " messages of ours; it would write " + wrong + " otherwise");
        System.exit(wrong == 0 ? 0 : 1);
    }

    static void errors() {
        for (Errors error : Errors.values()) {
            boolean retriable = error.exception() instanceof RetriableException;
            System.out.println(error.code() + " " + error + " " + retriable + " " + error.message());
        }
    }
}
