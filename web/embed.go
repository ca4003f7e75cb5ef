// Package web is what browsers see. For now that is one page; the user
// interface follows.
package web

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
)

// Page is what the first page says.
type Page struct {
	API     string // where the API is
	Version string
	Name    string // who is signed in; empty for nobody
	ID      string
	Session bool // whether there is a session to sign out of
}

//go:embed index.html
var index string

// Style is the stylesheet at /style.css.
//
//go:embed style.css
var Style []byte

var page = template.Must(template.New("index").Parse(index))

// Render writes the first page.
func Render(w io.Writer, p Page) error {
	if err := page.Execute(w, p); err != nil {
		return fmt.Errorf("rendering the first page: %w", err)
	}
	return nil
}
