//! eventsource-client: it reconnects by itself.
use clients::say;
use eventsource_client::{Client, ClientBuilder, SSE};
use futures_util::StreamExt;

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).expect("a URL");
    let mut stream = ClientBuilder::for_url(&url).expect("a URL").build().stream();
    while let Some(event) = stream.next().await {
        if let Ok(SSE::Event(event)) = event {
            say(&event.event_type, &event.data, event.id.as_deref().unwrap_or(""));
        }
    }
}
