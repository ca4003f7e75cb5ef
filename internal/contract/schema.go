package contract

// Schema gives the JSON Schema of one document, as it is published.
func Schema() []byte { panic("soon") }
