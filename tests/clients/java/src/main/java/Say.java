/** Prints an event as every program here does. */
final class Say {
    static synchronized void event(String event, String data, String id) {
        System.out.printf("{\"event\": %s, \"data\": %s, \"id\": %s}%n", text(event), text(data), text(id));
        System.out.flush();
    }

    private static String text(String value) {
        String some = value == null ? "" : value;
        return '"' + some.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + '"';
    }
}
