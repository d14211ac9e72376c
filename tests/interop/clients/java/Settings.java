import java.io.FileInputStream;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

/** What the MQTT drivers in Java share: the environment of ../../README.md, and what they print. */
final class Settings {
    static final String CLIENT_ID =
            text("CLIENT_ID") != null ? text("CLIENT_ID") : "java-" + ProcessHandle.current().pid();
    static final boolean ALIAS = text("ALIAS") != null;

    static String text(String name) {
        return System.getenv(name);
    }

    /** 0 when it is not set. */
    static int number(String name) {
        return text(name) == null ? 0 : Integer.parseInt(text(name));
    }

    /** The server in the schemes of the library. */
    static String url() {
        return text("URL").replaceFirst("^mqtts:", "ssl:").replaceFirst("^mqtt:", "tcp:");
    }

    /** Null without TLS. */
    static SSLSocketFactory tls() throws Exception {
        if (text("TLS_CA") == null) return null;
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null);
        try (InputStream file = new FileInputStream(text("TLS_CA"))) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context.getSocketFactory();
    }

    static byte[] payload(int number) {
        StringBuilder text = new StringBuilder("m" + number);
        while (text.length() < number("SIZE")) text.append('.');
        return bytes(text.toString());
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String string(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }

    /** One line of JSON; the tests send nothing that needs escapes. */
    static synchronized void say(String format, Object... values) {
        System.out.println(String.format(format, values));
        System.out.flush();
    }

    static void end() {
        Runtime.getRuntime().halt(0);
    }
}
