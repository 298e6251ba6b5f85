import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The small job on Kafka Streams, as its users would write it: one processor, a store of panes and one of deals (RocksDB, cached,
 * with changelogs), exactly once. Prints one JSON object: from the first record until the last one is committed.
 *
 * Usage: SmallJob BROKERS TOPIC EVENTS THREADS
 */
public final class SmallJob {
    private static final int MEASURES = 12;
    private static final ObjectMapper JSON = new ObjectMapper();

    private static final CountDownLatch DONE = new CountDownLatch(1);
    private static final java.util.concurrent.atomic.AtomicLong SEEN = new java.util.concurrent.atomic.AtomicLong();
    private static long expected;
    private static volatile long began;
    private static volatile long used;

    private static long cpu() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    static final class Fold implements Processor<byte[], byte[], Void, Void> {
        private KeyValueStore<String, long[]> panes;
        private KeyValueStore<String, String> deals;

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            panes = context.getStateStore("panes");
            deals = context.getStateStore("deals");
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            long number = SEEN.incrementAndGet();
            if (number == 1) {
                began = System.nanoTime();
                used = cpu();
            }
            JsonNode event;
            try {
                event = JSON.readTree(record.value());
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
            long minute = event.get("ts").asLong() / 60_000;
            String[] keys = {
                minute + "|a", minute + "|c" + event.get("channel").asText(), minute + "|r" + event.get("region").asText(),
                minute + "|o" + event.get("owner").asText()
            };
            long[][] vectors = new long[keys.length][];
            for (int i = 0; i < keys.length; i++) {
                long[] found = panes.get(keys[i]);
                vectors[i] = found == null ? new long[MEASURES] : found;
            }
            switch (event.get("type").asText()) {
                case "deal" -> {
                    String deal = event.get("deal_id").asText();
                    String stage = event.get("stage").asText();
                    long amount = event.get("amount").asLong();
                    String old = deals.get(deal);
                    String before = old == null ? "" : old.substring(old.indexOf('|') + 1);
                    long was = old == null || closed(before) ? 0 : Long.parseLong(old.substring(0, old.indexOf('|')));
                    long moved = old != null && !before.equals(stage) ? 1 : 0;
                    long opened = (closed(stage) ? 0 : amount) - was;
                    deals.put(deal, amount + "|" + stage);
                    long won = stage.equals("won") ? 1 : 0;
                    long lost = stage.equals("lost") ? 1 : 0;
                    for (long[] v : vectors) {
                        v[0] += 1;
                        v[1] += amount;
                        v[2] += won;
                        v[3] += won * amount;
                        v[4] += lost;
                        v[5] += opened;
                        v[6] += moved;
                    }
                }
                case "lead" -> {
                    long converted = event.get("status").asText().equals("converted") ? 1 : 0;
                    long score = event.get("score").asLong();
                    for (long[] v : vectors) {
                        v[7] += 1;
                        v[8] += converted;
                        v[9] += score;
                    }
                }
                default -> {
                    long duration = event.get("duration_s").asLong();
                    for (long[] v : vectors) {
                        v[10] += 1;
                        v[11] += duration;
                    }
                }
            }
            for (int i = 0; i < keys.length; i++) {
                panes.put(keys[i], vectors[i]);
            }
            if (number == expected) {
                DONE.countDown();
            }
        }

        private static boolean closed(String stage) {
            return stage.equals("won") || stage.equals("lost");
        }
    }

    private static Serde<long[]> vectors() {
        return Serdes.serdeFrom(
            (topic, vector) -> {
                if (vector == null) {
                    return null;
                }
                ByteBuffer bytes = ByteBuffer.allocate(8 * MEASURES);
                bytes.asLongBuffer().put(vector);
                return bytes.array();
            },
            (topic, bytes) -> {
                if (bytes == null) {
                    return null;
                }
                long[] vector = new long[MEASURES];
                ByteBuffer.wrap(bytes).asLongBuffer().get(vector);
                return vector;
            });
    }

    public static void main(String[] arguments) throws Exception {
        expected = Long.parseLong(arguments[2]);
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "streams-" + Long.toHexString(System.nanoTime()));
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 250);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, Integer.parseInt(arguments[3]));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory("vigie-streams-").toString());
        settings.put("auto.offset.reset", "earliest");
        Topology topology = new Topology();
        topology.addSource("source", Serdes.ByteArray().deserializer(), Serdes.ByteArray().deserializer(), arguments[1]);
        topology.addProcessor("fold", Fold::new, "source");
        topology.addStateStore(
            Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("panes"), Serdes.String(), vectors()).withCachingEnabled(),
            "fold");
        topology.addStateStore(
            Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("deals"), Serdes.String(), Serdes.String()).withCachingEnabled(),
            "fold");
        KafkaStreams streams = new KafkaStreams(topology, settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        streams.start();
        DONE.await();
        streams.close(Duration.ofSeconds(60)); // the last commit is part of it
        double wall = (System.nanoTime() - began) / 1e9;
        double spent = (cpu() - used) / 1e9;
        System.out.printf(
            java.util.Locale.ROOT, "{\"wall\": %.3f, \"cpu\": %.3f, \"events\": %d, \"lost\": 0}%n", wall, spent, expected - 1);
        System.exit(0);
    }
}
