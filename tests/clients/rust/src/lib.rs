/// Prints an event as every program here does.
pub fn say(event: &str, data: &str, id: &str) {
    println!("{}", serde_json::json!({"event": event, "data": data, "id": id}));
}
