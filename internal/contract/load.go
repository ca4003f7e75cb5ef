package contract

// File is policy as somebody wrote it: a YAML stream of documents, or JSON.
type File struct {
	Name string
	Data []byte
}

// Load reads files strictly. It reports every problem of every file; with any
// error among them there is no set.
func Load(files ...File) (*Set, Problems) { panic("soon") }
