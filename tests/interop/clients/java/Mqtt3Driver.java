import java.util.concurrent.CountDownLatch;
import org.eclipse.paho.client.mqttv3.IMqttActionListener;
import org.eclipse.paho.client.mqttv3.IMqttDeliveryToken;
import org.eclipse.paho.client.mqttv3.IMqttToken;
import org.eclipse.paho.client.mqttv3.MqttAsyncClient;
import org.eclipse.paho.client.mqttv3.MqttCallbackExtended;
import org.eclipse.paho.client.mqttv3.MqttConnectOptions;
import org.eclipse.paho.client.mqttv3.MqttException;
import org.eclipse.paho.client.mqttv3.MqttMessage;
import org.eclipse.paho.client.mqttv3.persist.MemoryPersistence;

/** paho of Java for MQTT 3.1.1 behind the commands of ../../README.md. */
public final class Mqtt3Driver {
    public static void main(String[] args) throws Exception {
        int qos = Integer.parseInt(args[2]);
        int count = Integer.parseInt(args[3]);
        switch (args[0]) {
            case "publish" -> publish(args[1], qos, count);
            case "subscribe" -> subscribe(args[1], qos, count);
            default -> throw new IllegalArgumentException(args[0]);
        }
        Settings.end();
    }

    /** Ends the program when it is refused. */
    private static void connect(MqttAsyncClient client) throws Exception {
        MqttConnectOptions options = new MqttConnectOptions();
        options.setMqttVersion(MqttConnectOptions.MQTT_VERSION_3_1_1);
        options.setAutomaticReconnect(true);
        if (Settings.tls() != null) options.setSocketFactory(Settings.tls());
        if (Settings.text("WILL") != null) options.setWill(Settings.text("WILL"), Settings.bytes("gone"), 1, false);
        if (Settings.text("LOGIN_USER") != null) {
            options.setUserName(Settings.text("LOGIN_USER"));
            options.setPassword(Settings.text("LOGIN_PASSWORD").toCharArray());
        }
        try {
            client.connect(options).waitForCompletion();
        } catch (MqttException refused) {
            if (refused.getReasonCode() > 5) throw refused;
            Settings.say("{\"refused\": %d}", refused.getReasonCode());
            Settings.end();
        }
    }

    private static MqttAsyncClient makeClient() throws MqttException {
        return new MqttAsyncClient(Settings.url(), Settings.CLIENT_ID, new MemoryPersistence());
    }

    private static void publish(String topic, int qos, int count) throws Exception {
        MqttAsyncClient client = makeClient();
        connect(client);
        boolean retain = Settings.text("RETAIN") != null;
        for (int i = 0; i < count; i++) client.publish(topic, Settings.payload(i), qos, retain).waitForCompletion();
        Settings.say("{\"published\": %d}", count);
        client.disconnect().waitForCompletion();
    }

    private static void subscribe(String filter, int qos, int count) throws Exception {
        MqttAsyncClient client = makeClient();
        Subscriber subscriber = new Subscriber(client, filter, qos, count);
        client.setCallback(subscriber);
        connect(client);
        subscriber.done.await();
        client.disconnect().waitForCompletion();
    }

    /** Subscribes after each connecting. */
    private static final class Subscriber implements MqttCallbackExtended, IMqttActionListener {
        final CountDownLatch done = new CountDownLatch(1);
        private final MqttAsyncClient client;
        private final String filter;
        private final int qos;
        private int left;

        Subscriber(MqttAsyncClient client, String filter, int qos, int count) {
            this.client = client;
            this.filter = filter;
            this.qos = qos;
            this.left = count;
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
            answered(token.getGrantedQos()[0]);
        }

        @Override
        public void onFailure(IMqttToken token, Throwable error) {
            answered(((MqttException) error).getReasonCode());
        }

        private void answered(int code) {
            Settings.say("{\"subscribed\": %d}", code);
            if (code >= 0x80) done.countDown();
        }

        @Override
        public void messageArrived(String topic, MqttMessage message) {
            Settings.say("{\"topic\": \"%s\", \"payload\": \"%s\", \"qos\": %d, \"retain\": %b}", topic,
                    Settings.string(message.getPayload()), message.getQos(), message.isRetained());
            if (--left == 0) done.countDown();
        }

        @Override
        public void connectionLost(Throwable cause) {
            Settings.say("{\"disconnected\": null}");
        }

        @Override
        public void deliveryComplete(IMqttDeliveryToken token) {}
    }
}
