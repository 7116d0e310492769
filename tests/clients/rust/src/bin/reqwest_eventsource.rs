//! reqwest-eventsource: it reconnects by itself.
use clients::say;
use futures_util::StreamExt;
use reqwest_eventsource::{Event, EventSource};

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).expect("a URL");
    let mut source = EventSource::get(url);
    while let Some(event) = source.next().await {
        if let Ok(Event::Message(message)) = event {
            say(&message.event, &message.data, &message.id);
        }
    }
}
