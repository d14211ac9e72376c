import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The Java client behind the commands of ../../README.md. */
public final class KafkaDriver {
  private KafkaDriver() {}

  public static void main(String[] args) throws Exception {
    switch (args[0]) {
      case "produce" -> produce(args[1], Integer.parseInt(args[2]), args[3]);
      case "consume" -> consume(args[1], Integer.parseInt(args[2]));
      case "group" -> group(args[1], args[2]);
      case "seek" -> seek(args[1], Long.parseLong(args[2]));
      default -> throw new IllegalArgumentException("no command " + args[0]);
    }
  }

  private static Properties connection() {
    Map<String, String> env = System.getenv();
    Properties properties = new Properties();
    properties.put("bootstrap.servers", env.get("BOOTSTRAP"));
    String ca = env.get("TLS_CA");
    String mechanism = env.get("SASL_MECHANISM");
    properties.put(
        "security.protocol",
        mechanism == null ? (ca == null ? "PLAINTEXT" : "SSL") : (ca == null ? "SASL_PLAINTEXT" : "SASL_SSL"));
    if (ca != null) {
      properties.put("ssl.truststore.type", "PEM");
      properties.put("ssl.truststore.location", ca);
    }
    if (mechanism != null) {
      String module = mechanism.equals("PLAIN") ? "plain.PlainLoginModule" : "scram.ScramLoginModule";
      properties.put("sasl.mechanism", mechanism);
      properties.put(
          "sasl.jaas.config",
          String.format(
              "org.apache.kafka.common.security.%s required username=\"%s\" password=\"%s\";",
              module, env.get("SASL_USER"), env.get("SASL_PASSWORD")));
    }
    properties.put("key.serializer", StringSerializer.class.getName());
    properties.put("value.serializer", StringSerializer.class.getName());
    properties.put("key.deserializer", StringDeserializer.class.getName());
    properties.put("value.deserializer", StringDeserializer.class.getName());
    properties.put("auto.offset.reset", "earliest");
    properties.put("enable.auto.commit", "false");
    return properties;
  }

  private static void produce(String topic, int count, String codec) throws Exception {
    Properties properties = connection();
    properties.put("compression.type", codec);
    properties.put("linger.ms", "20");
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties)) {
      List<Future<RecordMetadata>> answers = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        answers.add(producer.send(new ProducerRecord<>(topic, "k" + i, "v" + i)));
      }
      for (Future<RecordMetadata> answer : answers) {
        answer.get();
      }
    }
    say("{\"produced\": %d}", count);
  }

  private static void consume(String topic, int count) {
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(connection())) {
      List<TopicPartition> partitions =
          consumer.partitionsFor(topic).stream()
              .map(info -> new TopicPartition(topic, info.partition()))
              .collect(Collectors.toList());
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      for (int seen = 0; seen < count; ) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
          sayRecord(record);
          seen++;
        }
      }
    }
  }

  private static void group(String topic, String group) throws IOException {
    Properties properties = connection();
    properties.put("group.id", group);
    properties.put("session.timeout.ms", "10000");
    properties.put("heartbeat.interval.ms", "300");
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties)) {
      consumer.subscribe(List.of(topic), new Assignments(consumer));
      while (System.in.available() == 0) {
        var records = consumer.poll(Duration.ofMillis(100));
        for (ConsumerRecord<String, String> record : records) {
          sayRecord(record);
        }
        if (!records.isEmpty()) {
          consumer.commitSync();
          say("{\"committed\": true}");
        }
      }
    }
    say("{\"closed\": true}");
  }

  private record Assignments(KafkaConsumer<String, String> consumer) implements ConsumerRebalanceListener {
    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      say(
          "{\"assigned\": [%s]}",
          consumer.assignment().stream().map(p -> "" + p.partition()).collect(Collectors.joining(", ")));
    }
  }

  private static void seek(String topic, long time) {
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(connection())) {
      TopicPartition partition = new TopicPartition(topic, 0);
      consumer.assign(List.of(partition));
      consumer.seek(partition, consumer.offsetsForTimes(Map.of(partition, time)).get(partition).offset());
      while (true) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
          sayRecord(record);
          return;
        }
      }
    }
  }

  private static void sayRecord(ConsumerRecord<String, String> record) {
    say(
        "{\"key\": \"%s\", \"value\": \"%s\", \"partition\": %d, \"offset\": %d}",
        record.key(), record.value(), record.partition(), record.offset());
  }

  private static void say(String format, Object... values) {
    System.out.println(String.format(format, values));
    System.out.flush();
  }
}
