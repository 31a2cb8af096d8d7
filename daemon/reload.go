package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"

	"kioskd/configs"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
	"kioskd/store"
	"kioskd/systemd"
)

// Reloading is how the settings are read anew while the daemon runs. The zero value
// cannot: then a reload is refused.
type Reloading struct {
	// Load reads them as they were read at the start.
	Load func() (configs.Config, error)
	// Signal asks for it (SIGHUP); nil: nobody does.
	Signal <-chan struct{}
	// Level is the log's; nil: it cannot be changed.
	Level *slog.LevelVar
}

// settings are those in force. Parts got theirs at the start, as values; what can
// change while they run is listed in configs.LiveKeys.
type settings struct {
	mu     sync.Mutex // also serialises reloads
	config configs.Config
}

func (s *settings) now() configs.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config
}

// limitsOf is what the session's runner wants of the settings.
func limitsOf(c configs.Config) session.Limits {
	return session.Limits{Wait: c.Session.Wait(), Session: c.Session.Limit(), Reconnect: c.Session.Reconnect()}
}

// reload reads the settings anew and has what can change change. Settings that
// cannot be read change nothing. The call does not notice. by is for the audit.
func (k *kiosk) reload(by string) (apitype.ReloadAnswer, error) {
	k.settings.mu.Lock()
	defer k.settings.mu.Unlock()
	if k.around.Reload.Load == nil {
		return apitype.ReloadAnswer{}, refuseReload("this kioskd was started without a way to read them again", "restart kioskd")
	}
	next, err := k.around.Reload.Load()
	if err != nil {
		k.log.Error("the settings are refused; those from before go on", "error", err)
		return apitype.ReloadAnswer{}, refuseReload(err.Error(), "mend the file and reload again; nothing was changed")
	}
	answer := apitype.ReloadAnswer{Changed: []string{}, NeedRestart: []string{}}
	live := configs.LiveKeys()
	for _, key := range k.settings.config.Differs(next) {
		if slices.Contains(live, key) {
			answer.Changed = append(answer.Changed, key)
		} else {
			answer.NeedRestart = append(answer.NeedRestart, key)
		}
	}
	if k.around.Reload.Level != nil {
		k.around.Reload.Level.Set(next.Log.SlogLevel())
	}
	k.runner.SetDefaults(next.Session.AskConsent, limitsOf(next))
	// The rest stays as it was read at the start: what is shown is what is in force.
	k.settings.config.Log, k.settings.config.Session = next.Log, next.Session
	k.log.Info("settings read anew", "changed", answer.Changed, "need_restart", answer.NeedRestart)
	if err := k.noteReload(by); err != nil {
		k.log.Error("cannot write the reload to the audit", "error", err)
	}
	return answer, nil
}

// watchReload reloads when it is asked to, and tells systemd of its begin and end.
func (k *kiosk) watchReload(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.around.Reload.Signal:
		}
		if err := k.notify.Reloading(); err != nil {
			k.log.Warn("cannot tell systemd of the reload", "error", err)
		}
		// The file's fault is in the log; the service stays up with what it had.
		_, _ = k.reload("signal")
		if err := k.notify.Ready(statusLine(k.runner.Model())); err != nil {
			k.log.Warn("cannot tell systemd that we are ready again", "error", err)
		}
	}
}

func refuseReload(detail, hint string) error {
	return apitype.NewProblem(http.StatusUnprocessableEntity, apitype.CodeBadSettings, "cannot reload the settings: "+detail, hint)
}

func (k *kiosk) noteReload(by string) error {
	return k.store.Append(auditEntry("reload by: " + by))
}

// storeKey is the key that the store's keys are made of, as systemd passes it
// (LoadCredential=store-key:FILE, or LoadCredentialEncrypted=): 32 bytes. nil, where
// there is none or the unit's stand-in for none (a line end), has the store make one of
// its own.
func storeKey() ([]byte, error) {
	key, err := systemd.Credential("store-key")
	switch {
	case errors.Is(err, systemd.ErrNoCredential) || err == nil && len(bytes.TrimSpace(key)) == 0:
		return nil, nil
	case err != nil:
		return nil, err
	case len(key) != store.KeySize:
		return nil, fmt.Errorf("cannot use the credential store-key: it has %d bytes, not %d; make one with: head -c %d /dev/urandom", len(key), store.KeySize, store.KeySize)
	}
	return key, nil
}
