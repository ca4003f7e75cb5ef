package authn

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

const (
	// keysLife is how long keys are used before they are read again, so that
	// a key the provider took away stops working.
	keysLife = 10 * time.Minute
	// keysPause is the least time between two readings: a stranger who sends
	// tokens with made-up key ids must not make us hammer the provider.
	keysPause = 5 * time.Second
	minRSA    = 2048 / 8
)

var errNoKey = errors.New("no key of the provider fits the token")

// keySet holds the provider's signing keys. It reads them again, once for all
// who wait, when they are old or when a token names a key that is not there.
// Checking signatures is go-jose's work.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time
	flight singleflight.Group

	mu         sync.Mutex
	keys       []jose.JSONWebKey
	read       time.Time // of the last success
	tried      time.Time // of the last attempt
	generation int       // counts the changes of keys
}

func newKeySet(url string, client *http.Client, now func() time.Time) *keySet {
	return &keySet{url: url, client: client, now: now}
}

// VerifySignature implements oidc.KeySet.
func (k *keySet) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	var algs []jose.SignatureAlgorithm
	for _, a := range signingAlgs {
		algs = append(algs, jose.SignatureAlgorithm(a))
	}
	jws, err := jose.ParseSignedCompact(raw, algs)
	if err != nil {
		return nil, fmt.Errorf("parsing the token: %w", err)
	}
	header := jws.Signatures[0].Header

	keys, fresh, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	payload, err := check(jws, header, keys)
	if err == nil || fresh {
		return payload, err
	}
	if keys, err = k.again(ctx); err != nil {
		return nil, err
	}
	return check(jws, header, keys)
}

// check tries the keys that the header allows: those of its key id, or all
// when it names none.
func check(jws *jose.JSONWebSignature, header jose.Header, keys []jose.JSONWebKey) ([]byte, error) {
	for i := range keys {
		key := &keys[i]
		if header.KeyID != "" && key.KeyID != header.KeyID || key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := jws.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, errNoKey
}

// current gives the keys, reading them first when they are old. Old keys are
// better than none while the provider is down.
func (k *keySet) current(ctx context.Context) (keys []jose.JSONWebKey, fresh bool, err error) {
	k.mu.Lock()
	keys, read := k.keys, k.read
	k.mu.Unlock()
	if !read.IsZero() && k.now().Sub(read) < keysLife {
		return keys, false, nil
	}
	got, err := k.again(ctx)
	if err != nil && !read.IsZero() {
		return keys, true, nil
	}
	return got, true, err
}

// again reads the keys, unless that was tried a moment ago.
func (k *keySet) again(ctx context.Context) ([]jose.JSONWebKey, error) {
	result := k.flight.DoChan("", func() (any, error) {
		k.mu.Lock()
		keys, read, tried := k.keys, k.read, k.tried
		k.mu.Unlock()
		since := k.now().Sub(tried)
		switch worked := tried.Equal(read); {
		case worked && since < keysPause:
			return keys, nil
		case !worked && (since < retryAfter || since < staleRetry && !read.IsZero()):
			return nil, errProviderDown
		}
		return k.fetch(context.WithoutCancel(ctx))
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("reading the provider's keys: %w: %w", errProviderDown, ctx.Err())
	case r := <-result:
		if r.Err != nil {
			return nil, fmt.Errorf("reading the provider's keys: %w", r.Err)
		}
		return r.Val.([]jose.JSONWebKey), nil
	}
}

func (k *keySet) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	keys, err := k.download(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried = k.now()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errProviderDown, err)
	}
	if !sameKeys(k.keys, keys) {
		k.generation++
	}
	k.keys, k.read = keys, k.tried
	return keys, nil
}

func (k *keySet) download(ctx context.Context) ([]jose.JSONWebKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	res, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", k.url, res.Status)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("reading %s: %w", k.url, err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && usable(key) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// usable leaves out what is no public signing key: keys for encryption,
// shared secrets, short RSA keys, and kinds this server does not know.
func usable(key jose.JSONWebKey) bool {
	if key.Use != "" && key.Use != "sig" || !key.Valid() || !key.IsPublic() {
		return false
	}
	short, ok := key.Key.(*rsa.PublicKey)
	return !ok || short.Size() >= minRSA
}

// version changes whenever the keys do.
func (k *keySet) version() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.generation
}

func sameKeys(a, b []jose.JSONWebKey) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
