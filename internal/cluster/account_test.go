package cluster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A directory on the way that the server's account may not pass is named,
// with what to do about it.
func TestCanEnter(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(top), 0o755))
	closed := filepath.Join(top, "closed")
	inside := filepath.Join(closed, "inside")
	require.NoError(t, os.MkdirAll(inside, 0o755))
	stranger := account{name: "postgres", uid: 1234567, gid: 1234567, drop: true}
	require.NoError(t, stranger.canEnter(inside))

	require.NoError(t, os.Chmod(closed, 0o700))
	err := stranger.canEnter(inside)
	require.EqualError(t, err, "PostgreSQL runs as postgres, who may not enter "+closed+" (mode 0700): choose a directory elsewhere, such as /var/lib/rampkeeper-dev, or run chmod o+x "+closed)
	owner := account{name: "me", uid: os.Geteuid(), gid: os.Getegid()}
	require.NoError(t, owner.canEnter(inside))
	owner = account{name: "of my group", uid: 1234567, gid: os.Getegid()}
	require.Error(t, owner.canEnter(inside))
	require.NoError(t, os.Chmod(closed, 0o710))
	require.NoError(t, owner.canEnter(inside))
}

func TestAccountFor(t *testing.T) {
	t.Parallel()
	user, err := accountFor(1000)
	require.NoError(t, err)
	require.Equal(t, account{name: "uid 1000", uid: 1000, gid: os.Getegid()}, user)
	root, err := accountFor(0)
	require.NoError(t, err)
	require.True(t, root.drop)
	require.NotZero(t, root.uid)
}
