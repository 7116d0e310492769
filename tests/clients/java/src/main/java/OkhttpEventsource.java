import com.launchdarkly.eventsource.ConnectStrategy;
import com.launchdarkly.eventsource.ErrorStrategy;
import com.launchdarkly.eventsource.EventSource;
import com.launchdarkly.eventsource.MessageEvent;
import com.launchdarkly.eventsource.StreamEvent;
import java.net.URI;

/** okhttp-eventsource: it reconnects by itself. */
public final class OkhttpEventsource {
    public static void main(String[] arguments) throws Exception {
        var source = new EventSource.Builder(ConnectStrategy.http(URI.create(arguments[0])))
            .errorStrategy(ErrorStrategy.alwaysContinue()).build();
        source.start();
        for (StreamEvent event : source.anyEvents()) {
            if (event instanceof MessageEvent message) {
                Say.event(message.getEventName(), message.getData(), message.getLastEventId());
            }
        }
    }
}
