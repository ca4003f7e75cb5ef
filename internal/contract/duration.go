package contract

import (
	"encoding/json"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

// Duration is a length of time in a document. It is written as people write
// it, such as 30m or 1d12h; zero means that the document does not say.
type Duration access.Seconds

// Seconds converts to the vocabulary of requests and grants.
func (d Duration) Seconds() access.Seconds { return access.Seconds(d) }

// String writes the shortest form that a document may hold.
func (d Duration) String() string { return access.Seconds(d).String() }

// MarshalJSON writes the form that a document holds.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads what access.ParseSeconds reads.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := access.ParseSeconds(s)
	*d = Duration(v)
	return err
}
