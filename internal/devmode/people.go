package devmode

import "github.com/rampkeeper/rampkeeper/internal/devmode/idp"

// People are the made-up people of the demo. Their names are their subjects
// at the development provider and their logins on the target.
var People = []idp.Person{
	{Name: "ada", FullName: "Ada Engineer", Groups: []string{"engineers"}},
	{Name: "grace", FullName: "Grace Owner", Groups: []string{"engineers", "db-owners"}},
	{Name: "radia", FullName: "Radia Security", Groups: []string{"db-owners", "security"}},
	{Name: "lin", FullName: "Lin Contracts", Groups: []string{"contract-admins"}},
	{Name: "mary", FullName: "Mary Auditor", Groups: []string{"auditors"}},
	{Name: "otto", FullName: "Otto Operator", Groups: []string{"operators"}},
	{Name: "eve", FullName: "Eve Contractor", Groups: []string{"engineers", "contractors"}},
}

// What each is there for, for the page and the terminal.
var parts = map[string]string{
	"ada":   "asks for access",
	"grace": "owns the databases, approves",
	"radia": "owns the databases, is the second pair of eyes",
	"lin":   "changes contracts",
	"mary":  "audits",
	"otto":  "operates the broker, ends grants",
	"eve":   "is a contractor, kept from card data",
}

// Names gives the names of the people.
func Names() []string {
	names := make([]string, len(People))
	for i, p := range People {
		names[i] = p.Name
	}
	return names
}
