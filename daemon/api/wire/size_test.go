package wire_test

import (
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/wire"
	"kioskd/daemon/session"
)

// The longest chat there can be stays below the 1 MiB that clients read,
// whatever is written in it.
func TestTheLongestChatCanBeRead(t *testing.T) {
	for _, char := range []string{"x", "<", "&", `"`, `\`, "\n", "ä", "\u2028"} {
		var chat apitype.Messages
		for range session.MaxMessages {
			chat.Messages = append(chat.Messages, apitype.Message{
				ID: strings.Repeat("i", 64), From: "participant", Participant: strings.Repeat("p", 64),
				Name: strings.Repeat(`"`, 128), Text: strings.Repeat(char, session.MaxMessageText/len(char)),
			})
		}
		w := httptest.NewRecorder()
		wire.WriteJSON(w, chat)
		if n := w.Body.Len(); n >= 1<<20 {
			t.Errorf("a chat of %q has %d bytes", char, n)
		}
		var back apitype.Messages
		if err := json.Unmarshal(w.Body.Bytes(), &back); err != nil || !reflect.DeepEqual(back, chat) {
			t.Errorf("a chat of %q does not come back: %v", char, err)
		}
	}
}
