package contract

// Lint reports what is allowed and still probably not meant.
func Lint(set *Set) Problems { panic("soon") }
