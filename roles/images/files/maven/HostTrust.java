import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;

/** Turns a PEM bundle into a trust store, since Java reads no PEM: HostTrust.java BUNDLE STORE. */
class HostTrust {
    public static void main(String[] arguments) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        int number = 0;
        try (var bundle = new FileInputStream(arguments[0])) {
            for (var certificate : CertificateFactory.getInstance("X.509").generateCertificates(bundle)) {
                store.setCertificateEntry("host-" + number++, certificate);
            }
        }
        try (var output = new FileOutputStream(arguments[1])) {
            store.store(output, "changeit".toCharArray());
        }
    }
}
