import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Writes settings of Maven with the proxies of http_proxy, https_proxy and no_proxy, which Java does not read:
 * ProxySettings.java FILE. No message holds an address, which may hold a password.
 */
class ProxySettings {
    // Maven's own settings have this, too: what came over http without TLS was not checked on the way.
    static final String BLOCKER = "<mirrors><mirror><id>maven-default-http-blocker</id>"
            + "<mirrorOf>external:http:*</mirrorOf><url>http://0.0.0.0/</url><blocked>true</blocked></mirror></mirrors>";
    // Scheme, user, password, host and port. A user may hold what java.net.URI refuses.
    static final Pattern ADDRESS = Pattern.compile(
            "(https?)://(?:([^/?#:]*)(?::([^/?#]*))?@)?(?:\\[([^\\]]*)\\]|([^/?#:@]+))(?::(\\d*))?(?:[/?#].*)?",
            Pattern.CASE_INSENSITIVE);
    static final Pattern CODES = Pattern.compile("(?:%[0-9a-fA-F]{2})+");

    public static void main(String[] arguments) throws Exception {
        List<String> skipped = new ArrayList<>();
        for (String name : variable("no_proxy").split(",")) {
            if (name.startsWith(".")) {
                skipped.add("*" + name);
            } else if (!name.isEmpty()) {
                skipped.add(name.equals("*") || name.contains("/") ? name : name + "|*." + name);
            }
        }
        String hosts = field("nonProxyHosts", String.join("|", skipped));
        String proxies = proxy("http", hosts) + proxy("https", hosts);
        Files.writeString(Path.of(arguments[0]),
                "<settings>" + BLOCKER + "<proxies>" + proxies + "</proxies></settings>\n");
    }

    static String proxy(String protocol, String hosts) {
        String address = variable(protocol + "_proxy");
        Matcher found = ADDRESS.matcher(address);
        if (address.isEmpty()) {
            return "";
        }
        if (!found.matches()) {
            System.err.println(protocol + "_proxy is no address of a proxy: expected a host and a port");
            System.exit(1);
        }
        String host = found.group(4) == null ? found.group(5) : found.group(4);
        String port = found.group(6);
        if (port == null || port.isEmpty()) {
            port = found.group(1).equalsIgnoreCase("https") ? "443" : "80";
        }
        return "<proxy>" + field("id", "host-" + protocol) + field("active", "true") + field("protocol", protocol)
                + field("host", host) + field("port", port) + field("username", decoded(found.group(2)))
                + field("password", decoded(found.group(3))) + hosts + "</proxy>";
    }

    static String variable(String name) {
        return System.getenv().getOrDefault(name, "");
    }

    /** Returns a text without its percent-encoding (RFC 3986): a plus stays one, and so does a lone percent sign. */
    static String decoded(String text) {
        return text == null ? "" : CODES.matcher(text).replaceAll(
                code -> Matcher.quoteReplacement(URLDecoder.decode(code.group(), StandardCharsets.UTF_8)));
    }

    static String field(String name, String value) {
        String text = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
        return text.isEmpty() ? "" : "<" + name + ">" + text + "</" + name + ">";
    }
}
