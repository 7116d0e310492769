// launchdarkly/eventsource: it reconnects by itself.
package main

import (
	"os"

	"clients/say"

	"github.com/launchdarkly/eventsource"
)

func main() {
	stream, err := eventsource.SubscribeWithURL(os.Args[1],
		eventsource.StreamOptionErrorHandler(func(error) eventsource.StreamErrorHandlerResult {
			return eventsource.StreamErrorHandlerResult{}
		}),
		eventsource.StreamOptionCanRetryFirstConnection(-1))
	if err != nil {
		panic(err)
	}
	for event := range stream.Events {
		say.Event(event.Event(), event.Data(), event.Id())
	}
}
