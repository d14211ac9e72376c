import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.function.BiConsumer;
import org.eclipse.paho.mqttv5.client.IMqttToken;
import org.eclipse.paho.mqttv5.client.MqttActionListener;
import org.eclipse.paho.mqttv5.client.MqttAsyncClient;
import org.eclipse.paho.mqttv5.client.MqttCallback;
import org.eclipse.paho.mqttv5.client.MqttConnectionOptions;
import org.eclipse.paho.mqttv5.client.MqttDisconnectResponse;
import org.eclipse.paho.mqttv5.client.persist.MemoryPersistence;
import org.eclipse.paho.mqttv5.common.MqttException;
import org.eclipse.paho.mqttv5.common.MqttMessage;
import org.eclipse.paho.mqttv5.common.packet.MqttProperties;
import org.eclipse.paho.mqttv5.common.packet.UserProperty;

/** paho of Java for MQTT 5 behind the commands of ../../README.md. */
public final class Mqtt5Driver {
    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "publish" -> publish(args[1], Integer.parseInt(args[2]), Integer.parseInt(args[3]));
            case "subscribe" -> subscribe(args[1], Integer.parseInt(args[2]), Integer.parseInt(args[3]));
            case "request" -> request(args[1], args[2]);
            case "respond" -> respond(args[1]);
            default -> throw new IllegalArgumentException(args[0]);
        }
        Settings.end();
    }

    /** Ends the program when it is refused. */
    private static void connect(MqttAsyncClient client) throws Exception {
        MqttConnectionOptions options = new MqttConnectionOptions();
        options.setAutomaticReconnect(true);
        if (Settings.tls() != null) options.setSocketFactory(Settings.tls());
        if (Settings.number("RECEIVE_MAXIMUM") > 0) options.setReceiveMaximum(Settings.number("RECEIVE_MAXIMUM"));
        if (Settings.number("ALIAS_MAXIMUM") > 0) options.setTopicAliasMaximum(Settings.number("ALIAS_MAXIMUM"));
        if (Settings.text("WILL") != null) {
            options.setWill(Settings.text("WILL"), new MqttMessage(Settings.bytes("gone"), 1, false, null));
        }
        if (Settings.text("LOGIN_USER") != null) {
            options.setUserName(Settings.text("LOGIN_USER"));
            options.setPassword(Settings.bytes(Settings.text("LOGIN_PASSWORD")));
        }
        try {
            client.connect(options).waitForCompletion();
        } catch (MqttException refused) {
            if (refused.getReasonCode() < 0x80 || refused.getReasonCode() > 0xff) throw refused;
            Settings.say("{\"refused\": %d}", refused.getReasonCode());
            Settings.end();
        }
    }

    private static MqttAsyncClient makeClient() throws MqttException {
        return new MqttAsyncClient(Settings.url(), Settings.CLIENT_ID, new MemoryPersistence());
    }

    private static MqttProperties publishProperties() {
        MqttProperties properties = new MqttProperties();
        if (Settings.number("EXPIRY") > 0) properties.setMessageExpiryInterval((long) Settings.number("EXPIRY"));
        if (Settings.ALIAS) properties.setTopicAlias(1);
        if (Settings.text("PROPERTIES") != null) {
            properties.setContentType("text/plain");
            properties.setUserProperties(new ArrayList<>(List.of(new UserProperty("k", "v"))));
        }
        return properties;
    }

    /** Waits for the acknowledgement and returns its reason code. */
    private static int send(MqttAsyncClient client, String topic, byte[] payload, int qos, MqttProperties properties)
            throws MqttException {
        MqttMessage message = new MqttMessage(payload, qos, Settings.text("RETAIN") != null, properties);
        IMqttToken token = client.publish(topic, message);
        try {
            token.waitForCompletion();
            return qos == 0 ? 0 : token.getReasonCodes()[0];
        } catch (MqttException error) {
            return error.getReasonCode();
        }
    }

    private static void publish(String topic, int qos, int count) throws Exception {
        MqttAsyncClient client = makeClient();
        connect(client);
        TreeSet<Integer> reasons = new TreeSet<>();
        for (int i = 0; i < count; i++) {
            String to = Settings.ALIAS && i > 0 ? "" : topic;
            reasons.add(send(client, to, Settings.payload(i), qos, publishProperties()));
        }
        Settings.say("{\"published\": %d, \"reasons\": %s}", count, reasons);
        client.disconnect().waitForCompletion();
    }

    private static void subscribe(String filter, int qos, int count) throws Exception {
        MqttAsyncClient client = makeClient();
        Subscriber subscriber = new Subscriber(client, filter, qos, count, Mqtt5Driver::sayMessage);
        client.setCallback(subscriber);
        connect(client);
        subscriber.done.await();
        client.disconnect().waitForCompletion();
    }

    private static void sayMessage(String topic, MqttMessage message) {
        MqttProperties properties = message.getProperties();
        StringBuilder user = new StringBuilder();
        for (UserProperty pair : properties.getUserProperties()) {
            user.append(user.isEmpty() ? "" : ", ");
            user.append(String.format("[\"%s\", \"%s\"]", pair.getKey(), pair.getValue()));
        }
        Settings.say("{\"topic\": \"%s\", \"payload\": \"%s\", \"qos\": %d, \"retain\": %b, \"content_type\": \"%s\","
                + " \"user\": [%s], \"expiry\": %d}", topic, Settings.string(message.getPayload()), message.getQos(),
                message.isRetained(), properties.getContentType(), user, properties.getMessageExpiryInterval());
    }

    private static void request(String topic, String text) throws Exception {
        MqttAsyncClient client = makeClient();
        Subscriber answers = new Subscriber(client, topic + "/answer", 1, 1, (to, answer) ->
                Settings.say("{\"response\": \"%s\", \"correlation\": \"%s\"}", Settings.string(answer.getPayload()),
                        Settings.string(answer.getProperties().getCorrelationData())));
        answers.quiet = true;
        client.setCallback(answers);
        connect(client);
        answers.subscribed.await();
        MqttProperties properties = publishProperties();
        properties.setResponseTopic(topic + "/answer");
        properties.setCorrelationData(Settings.bytes("c1"));
        send(client, topic, Settings.bytes(text), 1, properties);
        answers.done.await();
        client.disconnect().waitForCompletion();
    }

    private static void respond(String topic) throws Exception {
        MqttAsyncClient client = makeClient();
        MqttMessage[] asked = new MqttMessage[1];
        Subscriber subscriber = new Subscriber(client, topic, 1, 1, (to, message) -> asked[0] = message);
        client.setCallback(subscriber);
        connect(client);
        subscriber.done.await();
        MqttProperties properties = publishProperties();
        properties.setCorrelationData(asked[0].getProperties().getCorrelationData());
        byte[] answer = Settings.bytes(Settings.string(asked[0].getPayload()).toUpperCase());
        send(client, asked[0].getProperties().getResponseTopic(), answer, 1, properties);
        client.disconnect().waitForCompletion();
    }

    /** Subscribes after each connecting. */
    private static final class Subscriber implements MqttCallback, MqttActionListener {
        final CountDownLatch subscribed = new CountDownLatch(1);
        final CountDownLatch done = new CountDownLatch(1);
        boolean quiet;
        private final MqttAsyncClient client;
        private final String filter;
        private final int qos;
        private int left;
        private final BiConsumer<String, MqttMessage> take;
        private final Map<Integer, String> aliases = new HashMap<>();

        Subscriber(MqttAsyncClient client, String filter, int qos, int count, BiConsumer<String, MqttMessage> take) {
            this.client = client;
            this.filter = filter;
            this.qos = qos;
            this.left = count;
            this.take = take;
        }

        @Override
        public void connectComplete(boolean reconnect, String server) {
            try {
                client.subscribe(filter, qos, null, this);
            } catch (MqttException error) {
                throw new IllegalStateException(error);
            }
        }

        @Override
        public void onSuccess(IMqttToken token) {
            answered(token.getReasonCodes()[0]);
        }

        @Override
        public void onFailure(IMqttToken token, Throwable error) {
            answered(((MqttException) error).getReasonCode());
        }

        private void answered(int code) {
            if (!quiet) Settings.say("{\"subscribed\": %d}", code);
            subscribed.countDown();
            if (code >= 0x80) done.countDown();
        }

        @Override
        public void messageArrived(String topic, MqttMessage message) {
            take.accept(whole(topic, message.getProperties().getTopicAlias()), message);
            if (--left == 0) done.countDown();
        }

        /** The library hands topic aliases to its user as they are. */
        private String whole(String topic, Integer alias) {
            if (alias == null) return topic;
            if (!topic.isEmpty()) aliases.put(alias, topic);
            return aliases.get(alias);
        }

        @Override
        public void disconnected(MqttDisconnectResponse response) {
            Settings.say("{\"disconnected\": %d}", response.getReturnCode());
        }

        @Override
        public void mqttErrorOccurred(MqttException error) {
            error.printStackTrace();
        }

        @Override
        public void deliveryComplete(IMqttToken token) {}

        @Override
        public void authPacketArrived(int reason, MqttProperties properties) {}
    }
}
