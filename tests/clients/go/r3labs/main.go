// r3labs/sse: it reconnects by itself.
package main

import (
	"os"

	"clients/say"

	"github.com/r3labs/sse/v2"
)

func main() {
	client := sse.NewClient(os.Args[1], sse.ClientMaxBufferSize(1<<20))
	client.SubscribeRaw(func(event *sse.Event) {
		say.Event(string(event.Event), string(event.Data), string(event.ID))
	})
}
