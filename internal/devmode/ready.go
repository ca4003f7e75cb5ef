package devmode

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// WriteReady writes the addresses and the people to a file, for scripts. It
// appears under its name only when it is whole.
func (p *Parts) WriteReady(path string) error {
	type person struct {
		Name    string             `json:"name"`
		Subject access.PrincipalID `json:"subject"`
		Groups  []string           `json:"groups"`
	}
	ready := struct {
		URL       string   `json:"url"`
		Issuer    string   `json:"issuer"`
		TargetDSN string   `json:"target_dsn"`
		People    []person `json:"people"`
	}{URL: p.URL, Issuer: p.Issuer, TargetDSN: p.TargetDSN}
	for _, one := range People {
		ready.People = append(ready.People, person{one.Name, access.NewPrincipalID(p.Issuer, one.Name), one.Groups})
	}
	raw, err := json.Marshal(ready)
	if err != nil {
		return fmt.Errorf("encoding the ready file: %w", err)
	}
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	if err := os.WriteFile(tmp, append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("the ready file %s cannot be written (%w)", path, errors.Unwrap(err))
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("the ready file %s cannot be written (%w)", path, errors.Unwrap(err))
	}
	return nil
}

// ClearReady removes what an earlier run left, and finds out early whether the
// file can be written.
func ClearReady(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the ready file %s cannot be replaced (%w); name another with --ready-file", path, errors.Unwrap(err))
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return fmt.Errorf("the ready file %s cannot be written: there is no such directory", path)
	}
	return nil
}

// Welcome is what a person sees when all is up. next is the number that the
// next request will have.
func (p *Parts) Welcome(dataDir string, next int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s %s\n\n", bold("Rampkeeper is up:"), p.URL)
	fmt.Fprintf(&b, "Made-up people can sign in there, without a password:\n")
	for _, one := range People {
		fmt.Fprintf(&b, "  %-7s %-16s %s\n", one.Name, one.FullName, parts[one.Name])
	}
	fmt.Fprintf(&b, "\nThe database to protect: %s\n", p.TargetDSN)
	token := "bin/rampkeeper dev token "
	if dataDir != DefaultDir() {
		token += "--data-dir " + dataDir + " "
	}
	fmt.Fprintf(&b, "\n%s in another terminal: ask as Ada, approve as Grace, use it as Ada.\n\n", bold("Try it"))
	fmt.Fprintf(&b, "  export RAMP_SERVER=%s\n", p.URL)
	fmt.Fprintf(&b, "  RAMP_TOKEN=$(%sada) bin/ramp request pg/readonly on postgres/database:prod/orders --for 5m --reason \"Order 4711 is stuck\" --no-wait\n", token)
	fmt.Fprintf(&b, "  RAMP_TOKEN=$(%sgrace) bin/ramp approve %d\n", token, next)
	fmt.Fprintf(&b, "  RAMP_TOKEN=$(%sada) bin/ramp connect -- -c 'select count(*) from prod_orders.orders'\n", token)
	fmt.Fprintf(&b, "\nFive minutes later the same command is refused. Ctrl-C here stops it all.\n\n")
	return b.String()
}
