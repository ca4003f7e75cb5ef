package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// newPassword makes a password of 256 random bits. Its characters are ASCII
// letters, digits, - and _, so that SASLprep (RFC 4013) leaves it as it is.
func newPassword() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// scramIterations is PostgreSQL's own default (RFC 7677 asks for as many).
const scramIterations = 4096

// verifier gives what PostgreSQL stores for a password: RFC 5802, section 3,
// in the form of pg_authid.rolpassword. The password cannot be had from it.
func verifier(password string, salt [16]byte) (string, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt[:], scramIterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("deriving the key of a password: %w", err)
	}
	sum := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(sum(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, b64(salt[:]), b64(stored[:]), b64(sum(salted, "Server Key"))), nil
}
