package idp

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

const keysFile = "idp-keys.json"

// keyring is the signing keys, oldest first. The last one signs. They are
// kept in a file that only its owner can read.
type keyring struct {
	dir string

	mu   sync.Mutex
	keys []jose.JSONWebKey
}

// openKeys reads the keys, or makes the first one.
func openKeys(dir string) (*keyring, error) {
	k := &keyring{dir: dir}
	err := k.read()
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		return k, k.rotate(false)
	}
	return k, err
}

func (k *keyring) read() error {
	raw, err := os.ReadFile(filepath.Join(k.dir, keysFile))
	if err != nil {
		return err
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(raw, &set); err != nil {
		return fmt.Errorf("reading %s: %w", keysFile, err)
	}
	for _, key := range set.Keys {
		if _, ok := key.Key.(*rsa.PrivateKey); !ok {
			return fmt.Errorf("%s holds something else than private RSA keys", keysFile)
		}
	}
	if len(set.Keys) == 0 {
		return fmt.Errorf("%s holds no key", keysFile)
	}
	k.keys = set.Keys
	return nil
}

// rotate makes a new key that signs from now on. The older ones stay in the
// published set if they are kept.
func (k *keyring) rotate(keep bool) error {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	var id [8]byte
	_, _ = rand.Read(id[:])
	k.mu.Lock()
	defer k.mu.Unlock()
	if !keep {
		k.keys = nil
	}
	k.keys = append(k.keys, jose.JSONWebKey{
		Key: private, KeyID: base64.RawURLEncoding.EncodeToString(id[:]), Algorithm: string(jose.RS256), Use: "sig",
	})
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: k.keys})
	if err != nil {
		return err
	}
	return writeFile(k.dir, keysFile, raw)
}

func (k *keyring) all() []jose.JSONWebKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]jose.JSONWebKey(nil), k.keys...)
}

func (k *keyring) signing() jose.JSONWebKey {
	all := k.all()
	return all[len(all)-1]
}

// secret is what the protocol library encrypts opaque values with.
func (k *keyring) secret() []byte {
	return k.all()[0].Key.(*rsa.PrivateKey).D.Bytes()
}

// writeFile replaces a file in one step, readable by its owner only.
func writeFile(dir, name string, data []byte) error {
	f, err := os.CreateTemp(dir, name+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), filepath.Join(dir, name))
}
