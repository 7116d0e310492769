// Package say prints an event as every program here does.
package say

import (
	"encoding/json"
	"os"
)

// Event prints one line.
func Event(event, data, id string) {
	if event == "" {
		event = "message"
	}
	json.NewEncoder(os.Stdout).Encode(map[string]string{"event": event, "data": data, "id": id})
}
