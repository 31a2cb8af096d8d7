package main

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"kioskd/cmd/kioskscreen/begin"
	"kioskd/configs/words"
)

// assetPath is where the page's files are.
const assetPath = "/assets/"

//go:embed assets
var assets embed.FS

// site serves the page, its files and the small pages of the door.
type site struct {
	lang string // of -lang, or empty
	// daemons asks the daemon for its language, last is what it answered.
	daemons func(context.Context) string
	last    atomic.Value // string

	page   *template.Template
	notice *template.Template
}

func newSite(lang string, daemons func(context.Context) string) (*site, error) {
	page, err := template.ParseFS(assets, "assets/index.html")
	if err != nil {
		return nil, fmt.Errorf("cannot use the embedded page: %w", err)
	}
	notice, err := template.ParseFS(assets, "assets/notice.html")
	if err != nil {
		return nil, fmt.Errorf("cannot use the embedded notice: %w", err)
	}
	return &site{lang: lang, daemons: daemons, page: page, notice: notice}, nil
}

// kiosks is the kiosk's language: of -lang, else the daemon's; "" where neither says one
// that there are words in.
func (s *site) kiosks(ctx context.Context) string {
	if s.lang == "" {
		if lang := s.daemons(ctx); slices.Contains(words.Languages(), lang) {
			s.last.Store(lang)
		}
	}
	return s.known()
}

// known is kiosks without asking, for who has shown no token.
func (s *site) known() string {
	last, _ := s.last.Load().(string)
	if s.lang != "" {
		return s.lang
	}
	return last
}

// wordsAnswer is what the page reads from /words.json.
type wordsAnswer struct {
	Lang      string            `json:"lang"`
	Languages []string          `json:"languages"`
	Texts     map[string]string `json:"texts"`
}

func (s *site) servePage(w http.ResponseWriter, r *http.Request) {
	c, err := language(s.kiosks(r.Context()), r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = s.page.Execute(w, map[string]any{"Lang": c.Lang(), "Title": c.Text("page.title"), "Begin": begin.Script()})
}

func (s *site) serveWords(w http.ResponseWriter, r *http.Request) {
	c, err := language(s.kiosks(r.Context()), r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", typeJSON)
	_ = json.NewEncoder(w).Encode(wordsAnswer{Lang: c.Lang(), Languages: words.Languages(), Texts: c.All()})
}

// serveAsset gives one embedded file. Names are looked up whole, so there is no
// way out of the folder; templates are no files of the page.
func (s *site) serveAsset(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	kind := map[string]string{
		".css": "text/css; charset=utf-8",
		".js":  "text/javascript; charset=utf-8",
		".svg": "image/svg+xml",
	}[path.Ext(name)]
	data, err := fs.ReadFile(assets, name)
	if kind == "" || err != nil {
		s.serveNotice(w, r, http.StatusNotFound, "door.missing")
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(data) //nolint:gosec // an embedded file: the request only chooses which
}

// serveNotice shows one title and one sentence of the catalogue.
func (s *site) serveNotice(w http.ResponseWriter, r *http.Request, status int, key string) {
	c, err := language(s.known(), r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = s.notice.Execute(w, map[string]any{
		"Lang": c.Lang(), "Title": c.Text(key + ".title"), "Text": c.Text(key + ".text"), "Begin": begin.Script(),
	})
}

// serveStep is the page between a foreign link and our own: it goes on at once.
func (s *site) serveStep(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = s.notice.Execute(w, map[string]any{"Lang": words.Fallback, "Go": true})
}
