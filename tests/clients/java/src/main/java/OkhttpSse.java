import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;
import okhttp3.sse.EventSource;
import okhttp3.sse.EventSourceListener;
import okhttp3.sse.EventSources;

/** okhttp-sse: it reads one stream; who uses it brings the loop and the cursor. */
public final class OkhttpSse {
    private static volatile String cursor = "";

    public static void main(String[] arguments) throws Exception {
        var client = new OkHttpClient.Builder().readTimeout(Duration.ofMinutes(1)).build();
        while (true) {
            var request = new Request.Builder().url(arguments[0]).header("Last-Event-ID", cursor).build();
            var over = new CountDownLatch(1);
            EventSources.createFactory(client).newEventSource(request, new EventSourceListener() {
                @Override
                public void onEvent(EventSource source, String id, String type, String data) {
                    cursor = id == null ? cursor : id;
                    Say.event(type == null ? "message" : type, data, id);
                }

                @Override
                public void onClosed(EventSource source) {
                    over.countDown();
                }

                @Override
                public void onFailure(EventSource source, Throwable error, Response response) {
                    over.countDown();
                }
            });
            over.await();
            Thread.sleep(1000);
        }
    }
}
