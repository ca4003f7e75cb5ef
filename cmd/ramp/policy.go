package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rampkeeper/rampkeeper/api/client"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// readPolicy reads the YAML and JSON files of a file or directory.
func readPolicy(path string) ([]contract.File, error) {
	var files []contract.File
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != path && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(p); p != path && !slices.Contains([]string{".yaml", ".yml", ".json"}, ext) {
			return nil
		}
		raw, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		files = append(files, contract.File{Name: p, Data: raw})
		return nil
	})
	if err != nil {
		return nil, usage("%w; name the policy's file or directory with -f", err)
	}
	if len(files) == 0 {
		return nil, usage("%s holds no .yaml, .yml or .json file", path)
	}
	return files, nil
}

func (a *app) contractsLintCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:     "lint -f DIR",
		Short:   "Check policy documents here, without a server",
		Example: "  ramp contracts lint -f policy/\n  ramp contracts lint -f policy/ -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			files, err := readPolicy(path)
			if err != nil {
				return err
			}
			set, problems := contract.Load(files...)
			if set != nil {
				problems = append(problems, contract.Lint(set)...)
			}
			if a.human() || a.format == "name" {
				for _, p := range problems {
					fmt.Fprintln(a.out, inline(p.String()))
				}
			} else if err := a.print(asAnswer(set, problems), "", table{}); err != nil {
				return err
			}
			if len(problems.Errors()) > 0 {
				return &exitError{code: exitFailure}
			}
			a.say("%s.", plural(len(set.Documents), "document is good", "documents are good"))
			return nil
		},
	}
	fileFlag(cmd, &path)
	return cmd
}

// asAnswer gives what was found here in the words of the API, whose lint finds
// the same.
func asAnswer(set *contract.Set, problems contract.Problems) client.LintAnswer {
	answer := client.LintAnswer{OK: len(problems.Errors()) == 0, Problems: []client.PolicyProblem{}}
	if set != nil {
		answer.Documents = len(set.Documents)
	}
	for _, p := range problems {
		severity := client.PolicyProblemSeverity("error")
		if p.Warning {
			severity = "warning"
		}
		answer.Problems = append(answer.Problems, client.PolicyProblem{
			Severity: severity, File: p.File, Line: p.Line, Column: p.Column, Pointer: p.Pointer, Message: p.Message, Fix: p.Fix,
		})
	}
	return answer
}

func fileFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "file", "f", "", "file or directory of policy documents")
	_ = cmd.MarkFlagRequired("file")
}

// policyBody reads the files and checks them here first, where messages name
// the files as they are.
func (a *app) policyBody(path string) (client.PolicyFiles, error) {
	var body client.PolicyFiles
	files, err := readPolicy(path)
	if err != nil {
		return body, err
	}
	if _, problems := contract.Load(files...); len(problems.Errors()) > 0 {
		for _, p := range problems {
			a.say("%s", p.String())
		}
		return body, &exitError{code: exitFailure, err: errors.New("the policy has errors; nothing was sent")}
	}
	for _, f := range files {
		body.Files = append(body.Files, struct {
			Content string `json:"content"`
			Name    string `json:"name"`
		}{Content: string(f.Data), Name: f.Name})
	}
	return body, nil
}

func (a *app) contractsDiffCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "diff -f DIR",
		Short: "Compare policy documents with the policy in force; exit 7 when they differ",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := a.policyBody(path)
			if err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			d, err := decode[client.PolicyDiff](c.DiffContracts(cmd.Context(), body))
			if err != nil {
				return err
			}
			if err := a.print(d, strings.Join(slices.Concat(d.Added, d.Updated, d.Removed), "\n"), changes(d.Added, d.Updated, d.Removed)); err != nil {
				return err
			}
			if d.Changed {
				return &exitError{code: exitChanges}
			}
			return nil
		},
	}
	fileFlag(cmd, &path)
	return cmd
}

func changes(added, updated, removed []string) table {
	t := table{empty: "No changes."}
	for _, group := range []struct {
		mark  string
		names []string
	}{{"+", added}, {"~", updated}, {"-", removed}} {
		for _, n := range group.names {
			t.rows = append(t.rows, []string{group.mark, n})
		}
	}
	return t
}

func (a *app) contractsApplyCommand() *cobra.Command {
	var path, note string
	var prune bool
	var revision int64
	cmd := &cobra.Command{
		Use:   "apply -f DIR",
		Short: "Put policy documents in force, all of them or none",
		Long: `The documents become the whole policy, as a new numbered revision. Applying the
same documents again changes nothing. Documents that are in force and not in
DIR are removed only with --prune.`,
		Example: "  ramp contracts apply -f policy/ --note 'PAY-12: shorter access to billing'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := a.policyBody(path)
			if err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			if revision < 0 {
				d, err := decode[client.PolicyDiff](c.DiffContracts(cmd.Context(), body))
				if err != nil {
					return err
				}
				revision = d.Revision
			}
			params := &client.ApplyContractsParams{Prune: &prune, IfMatch: new(fmt.Sprintf("%q", fmt.Sprint(revision)))}
			setIf(&params.Note, note)
			done, err := decode[client.Applied](c.ApplyContracts(cmd.Context(), params, body))
			if err != nil {
				return err
			}
			for _, w := range done.Warnings {
				a.say("%s:%d:%d: warning: %s", w.File, w.Line, w.Column, w.Message)
			}
			if !done.Changed {
				a.say("Policy revision %d holds just these documents already.", done.Revision)
				if a.human() {
					return nil
				}
			} else {
				a.say("Policy revision %d is in force.", done.Revision)
			}
			return a.print(done, fmt.Sprint(done.Revision), changes(done.Added, done.Updated, done.Removed))
		},
	}
	fileFlag(cmd, &path)
	cmd.Flags().StringVar(&note, "note", "", "why, for the record")
	cmd.Flags().BoolVar(&prune, "prune", false, "remove documents that are not in DIR")
	cmd.Flags().Int64Var(&revision, "if-revision", -1, "apply only if this revision is still in force (default: the one seen now)")
	return cmd
}
