package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/rampkeeper/rampkeeper/internal/access"
)

const macSize = 16

var cursorEncoding = base64.RawURLEncoding

// SealCursor wraps where a page ended so that only this caller can go on from
// there, in the same list: list names the list and its filters.
func (tx *Tx) SealCursor(ctx context.Context, who access.PrincipalID, list, after string) (string, error) {
	if after == "" {
		return "", nil
	}
	install, err := tx.Install(ctx)
	if err != nil {
		return "", err
	}
	return cursorEncoding.EncodeToString(append(cursorMAC(install.CursorKey, who, list, after), after...)), nil
}

// OpenCursor reads what SealCursor wrote. A cursor that was changed, or that
// belongs to another caller or list, is Invalid.
func (tx *Tx) OpenCursor(ctx context.Context, who access.PrincipalID, list, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	install, err := tx.Install(ctx)
	if err != nil {
		return "", err
	}
	raw, err := cursorEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) <= macSize || !hmac.Equal(raw[:macSize], cursorMAC(install.CursorKey, who, list, string(raw[macSize:]))) {
		return "", &access.Error{
			Code:    access.Invalid,
			Message: "The cursor is not one that this list gave you.",
			Details: []access.Detail{{Parameter: "cursor", Detail: "take next_cursor of the page before as it is, with the same filters, or leave it out to start again"}},
		}
	}
	return string(raw[macSize:]), nil
}

func cursorMAC(key []byte, who access.PrincipalID, list, after string) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{string(who), list, after} {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		mac.Write(size[:])
		mac.Write([]byte(part))
	}
	return mac.Sum(nil)[:macSize]
}
