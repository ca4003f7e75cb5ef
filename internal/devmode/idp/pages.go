package idp

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
)

const (
	signInPath = "/sign-in"
	devicePath = "/device"
)

// pages are what a person sees. They hold no script.
type pages struct {
	storage *storage
	done    func(ctx context.Context, id string) string
}

var (
	//go:embed page.html
	pageSource string
	//go:embed page.css
	pageStyle string

	page = template.Must(template.New("page").Parse(pageSource))

	// contentPolicy has no form-action: browsers would apply it to the
	// redirect back to the client, too.
	contentPolicy = func() string {
		sum := sha256.Sum256([]byte(pageStyle))
		return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; frame-ancestors 'none'"
	}()
)

// view is what a page shows.
type view struct {
	Style  template.CSS
	Title  string
	Text   string
	Action string   // where the choice is sent; empty shows none
	People []Person // to choose from
	ID     string   // of the sign-in
	Code   string   // of the device
	AskFor bool     // the code has to be typed
}

func (p pages) show(w http.ResponseWriter, status int, v view) {
	v.Style = template.CSS(pageStyle)
	var body bytes.Buffer
	if err := page.Execute(&body, v); err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin") // with no-referrer the form would have no origin
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = body.WriteTo(w) // the client may be gone
}

func (p pages) home(w http.ResponseWriter, _ *http.Request) {
	p.show(w, http.StatusOK, view{
		Title: "Nothing to do here",
		Text:  "Sign in from the application; it will send you here.",
	})
}

func (p pages) signIn(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	if _, err := p.storage.AuthRequestByID(r.Context(), id); err != nil {
		p.over(w)
		return
	}
	p.show(w, http.StatusOK, view{Title: "Sign in as", Action: signInPath, People: p.storage.everybody(), ID: id})
}

func (p pages) signedIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	id := r.PostFormValue("id")
	if err := p.storage.choose(id, r.PostFormValue("person")); err != nil {
		p.over(w)
		return
	}
	http.Redirect(w, r, p.done(r.Context(), id), http.StatusSeeOther)
}

func (p pages) over(w http.ResponseWriter) {
	p.show(w, http.StatusBadRequest, view{
		Title: "This sign-in is over",
		Text:  "It was used already, or it took more than ten minutes. Go back to the application and sign in again.",
	})
}

func (p pages) device(w http.ResponseWriter, r *http.Request) {
	code := r.URL.Query().Get("user_code")
	client, ok := p.storage.waiting(code)
	switch {
	case code == "":
		p.show(w, http.StatusOK, view{Title: "Enter the code", Text: "Type the code that your terminal shows.", Action: devicePath, AskFor: true})
	case !ok:
		p.show(w, http.StatusBadRequest, view{Title: "That code is not waiting", Text: "It was answered already, is over, or was mistyped.", Action: devicePath, AskFor: true})
	default:
		p.show(w, http.StatusOK, view{
			Title:  "Sign in a device",
			Text:   "The program " + client + " wants to sign in with this code. Go on only if your own terminal shows the same one.",
			Action: devicePath, People: p.storage.everybody(), Code: code,
		})
	}
}

func (p pages) deviceAnswered(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	code, name := r.PostFormValue("user_code"), r.PostFormValue("person")
	if name == "" && !r.PostForm.Has("deny") {
		http.Redirect(w, r, devicePath+"?user_code="+url.QueryEscape(code), http.StatusSeeOther)
		return
	}
	if err := p.storage.answer(code, name); err != nil {
		p.over(w)
		return
	}
	if name == "" {
		p.show(w, http.StatusOK, view{Title: "Refused", Text: "The device was not signed in."})
		return
	}
	p.show(w, http.StatusOK, view{Title: "The device is signed in", Text: "Go back to your terminal; you can close this page."})
}
