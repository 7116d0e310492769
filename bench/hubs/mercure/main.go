// The ten-line hub of bench/fanout.py around Mercure's own library: anonymous subscribers, no history, no access log.
package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"

	"github.com/dunglas/mercure"
)

func main() {
	hub, err := mercure.NewHub(context.Background(), mercure.WithAnonymous(),
		mercure.WithPublisherJWT([]byte(os.Args[2]), "HS256"), mercure.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		panic(err)
	}
	panic(http.ListenAndServe(os.Args[1], hub))
}
