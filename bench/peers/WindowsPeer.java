import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.LongAdder;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Kafka Streams: tumbling windows in an in-memory window store, exactly-once, two threads.
 *
 * <p>The windows are kept by a processor instead of groupBy, which would send every event through
 * one more topic: all events of a key are in one partition already. A minute's windows are shown
 * when its partition has an event of a later one.
 */
public final class WindowsPeer {
  static final int BUCKETS = 800; // of 2 %, up to two hours
  static final int SUMS = 7;
  static final int FIRST = 8 + 8 * SUMS; // byte of the first bucket
  static final double LOG_GAMMA = Math.log(1.02);
  static final long MINUTE = 60_000;
  static final LongAdder TAKEN = new LongAdder();

  public static void main(String[] arguments) throws Exception {
    Map<String, String> work = new HashMap<>();
    for (int i = 0; i + 1 < arguments.length; i += 2) {
      work.put(arguments[i].substring(2), arguments[i + 1]);
    }
    Schema schema = new Schema.Parser().parse(Files.readString(Path.of(work.get("schema"))));
    for (Schema.Field field : schema.getFields()) {
      strings(field.schema());
    }

    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, work.get("group"));
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, work.get("brokers"));
    settings.put(StreamsConfig.STATE_DIR_CONFIG, work.get("folder"));
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 500);
    settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64 << 20);
    settings.put("auto.offset.reset", "earliest");
    settings.put("max.poll.records", 5_000);

    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(
        Stores.windowStoreBuilder(
                Stores.inMemoryWindowStore(
                    "windows", Duration.ofHours(1), Duration.ofMillis(MINUTE), false),
                Serdes.String(),
                Serdes.ByteArray())
            .withCachingEnabled());
    builder.stream(
            work.get("topic"),
            Consumed.with(
                Serdes.ByteArray(),
                Serdes.serdeFrom(
                    (topic, event) -> {
                      throw new UnsupportedOperationException("Events are only read.");
                    },
                    new Avro(schema))))
        .process(Windows::new, "windows")
        .to(work.get("output"), Produced.with(Serdes.String(), Serdes.String()));

    KafkaStreams streams = new KafkaStreams(builder.build(), settings);
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
    Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
    streams.start();
    for (long told = 0; ; Thread.sleep(50)) {
      if (TAKEN.sum() > told) {
        told = TAKEN.sum();
        System.out.println("progress " + told);
      }
    }
  }

  /** Has text read as String: Utf8 would have to be turned into one for each key. */
  static void strings(Schema schema) {
    if (schema.getType() == Schema.Type.UNION) {
      schema.getTypes().forEach(WindowsPeer::strings);
    } else if (schema.getType() == Schema.Type.STRING) {
      GenericData.setStringType(schema, GenericData.StringType.String);
    }
  }

  /** Framed Avro; one of these for each thread. */
  static final class Avro implements Deserializer<GenericRecord> {
    private final Schema schema;
    private final ThreadLocal<GenericDatumReader<GenericRecord>> readers;
    private final ThreadLocal<BinaryDecoder> decoders = new ThreadLocal<>();

    Avro(Schema schema) {
      this.schema = schema;
      this.readers = ThreadLocal.withInitial(() -> new GenericDatumReader<>(this.schema));
    }

    @Override
    public GenericRecord deserialize(String topic, byte[] value) {
      BinaryDecoder decoder =
          DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, decoders.get());
      decoders.set(decoder);
      try {
        return readers.get().read(null, decoder);
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }
  }

  /** Sums up the events of a partition. */
  static final class Windows implements Processor<byte[], GenericRecord, String, String> {
    private ProcessorContext<String, String> context;
    private WindowStore<String, byte[]> store;
    private long newest = Long.MIN_VALUE; // start of a minute

    @Override
    public void init(ProcessorContext<String, String> given) {
      context = given;
      store = given.getStateStore("windows");
    }

    @Override
    public void process(Record<byte[], GenericRecord> record) {
      GenericRecord event = record.value();
      long start = (Long) event.get("timestamp") / MINUTE * MINUTE;
      if (start > newest) {
        close(start);
        newest = start;
      }
      String key =
          String.join("|", text(event, "service"), text(event, "endpoint"), text(event, "model"),
              text(event, "provider"), text(event, "config_version"), text(event, "cohort"));
      byte[] kept = store.fetch(key, start);
      ByteBuffer window = ByteBuffer.wrap(kept == null ? new byte[FIRST + 4 * BUCKETS] : kept);
      window.putLong(0, window.getLong(0) + 1);
      double latency = (Double) event.get("latency_ms");
      double in = number(event, "tokens_input");
      double out = number(event, "tokens_output");
      add(window, 0, latency);
      add(window, 1, number(event, "time_to_first_token_ms"));
      add(window, 2, in);
      add(window, 3, out);
      add(window, 4, event.get("tokens_total") == null ? in + out : number(event, "tokens_total"));
      add(window, 5, number(event, "cached_tokens"));
      add(window, 6, number(event, "cost_usd"));
      int at = FIRST + 4 * (int) Math.floor(Math.log(latency) / LOG_GAMMA);
      window.putInt(at, window.getInt(at) + 1);
      store.put(key, window.array(), start);
      TAKEN.increment();
    }

    private void close(long before) {
      if (newest == Long.MIN_VALUE) {
        return;
      }
      try (KeyValueIterator<Windowed<String>, byte[]> all = store.fetchAll(newest, before - 1)) {
        while (all.hasNext()) {
          KeyValue<Windowed<String>, byte[]> each = all.next();
          String key = each.key.key();
          long start = each.key.window().start();
          context.forward(new Record<>(key, shown(key, start, each.value), start));
        }
      }
    }

    private static void add(ByteBuffer window, int place, double value) {
      window.putDouble(8 + 8 * place, window.getDouble(8 + 8 * place) + value);
    }

    private static String text(GenericRecord event, String name) {
      Object value = event.get(name);
      return value == null ? "" : (String) value;
    }

    private static double number(GenericRecord event, String name) {
      Object value = event.get(name);
      return value == null ? 0 : ((Number) value).doubleValue();
    }

    private static String shown(String key, long start, byte[] kept) {
      ByteBuffer window = ByteBuffer.wrap(kept);
      StringBuilder text = new StringBuilder("{\"key\":\"").append(key);
      text.append("\",\"start\":").append(start).append(",\"count\":").append(window.getLong(0));
      for (int i = 0; i < SUMS; i++) {
        text.append(i == 0 ? ",\"sums\":[" : ",").append(window.getDouble(8 + 8 * i));
      }
      String mark = "],\"buckets\":{\"";
      for (int i = 0; i < BUCKETS; i++) {
        int count = window.getInt(FIRST + 4 * i);
        if (count > 0) {
          text.append(mark).append(i).append("\":").append(count);
          mark = ",\"";
        }
      }
      return text.append("}}").toString();
    }
  }
}
