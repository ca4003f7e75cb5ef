package engine

import (
	"fmt"
	"strings"

	"github.com/rampkeeper/rampkeeper/internal/access"
	"github.com/rampkeeper/rampkeeper/internal/contract"
)

// Forbidden says which guardrail forbids the subject the item for sure, "" for
// none. It is asked about access that there is: what is unknown, which refuses
// an ask, ends nothing.
func Forbidden(ix *contract.Index, item access.Item, s access.Subject) string {
	for _, g := range ix.Guardrails(item.Role, item.Resource) {
		of := g.Spec.Match.Subjects
		if g.Spec.Deny != nil && (of == nil || subjectsCover(ix, *of, s) == yes) {
			return fmt.Sprintf("Guardrail %s forbids this: %s.", g.Metadata.Name, strings.TrimRight(g.Spec.Deny.Reason, ". "))
		}
	}
	return ""
}

// Excluded says whether the document is not about the subject for sure.
func Excluded(ix *contract.Index, of contract.Subjects, s access.Subject) bool {
	return s.GroupsKnown && subjectsCover(ix, of, s) == no
}
