package main

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
)

// secretBytes is 256 bits, for the token and for each one-use code (promise X4).
const secretBytes = 32

// keys holds the door's secrets: the token that the browser carries in a cookie,
// the same for as long as the program runs, and the code of the one-use link
// that hands it over. Neither is ever logged, nor put into a page.
type keys struct {
	cookie string // the cookie's name
	token  string

	mu   sync.Mutex
	code string
}

// newKeys makes the secrets. Cookies know no ports, so the port is in the
// cookie's name: two kioskscreens on one machine leave each other alone.
func newKeys(addr string) *keys {
	_, port, _ := strings.Cut(addr, ":")
	return &keys{cookie: "kioskscreen-" + port, token: newSecret(), code: newSecret()}
}

// newSecret never fails: crypto/rand.Read ends the program where the kernel has
// no randomness (its documentation).
func newSecret() string {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// link is the path of the present one-use link.
func (k *keys) link() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return openPath + k.code
}

// spend says whether code is the present one. It then holds no more: a browser
// that crashed needs a new link, so a new code takes its place.
func (k *keys) spend(code string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !same(code, k.code) {
		return false
	}
	k.code = newSecret()
	return true
}

// setCookie hands the token over. No Secure attribute: the page is plain HTTP on
// loopback. No lifetime: the cookie ends with the browser (RFC 6265, section 5.3).
func (k *keys) setCookie(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure: see above
		Name: k.cookie, Value: k.token, Path: "/",
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// known says whether the request carries the token.
func (k *keys) known(r *http.Request) bool {
	cookies := r.CookiesNamed(k.cookie)
	return len(cookies) == 1 && same(cookies[0].Value, k.token)
}

// same compares in constant time for equal lengths; the length is no secret.
func same(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
