// tmaxmax/go-sse: it reconnects by itself.
package main

import (
	"net/http"
	"os"

	"clients/say"

	"github.com/tmaxmax/go-sse"
)

func main() {
	request, err := http.NewRequest(http.MethodGet, os.Args[1], nil)
	if err != nil {
		panic(err)
	}
	connection := sse.NewConnection(request)
	connection.SubscribeToAll(func(event sse.Event) {
		say.Event(event.Type, event.Data, event.LastEventID)
	})
	connection.Connect()
}
