package cluster

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// account is who runs the server. PostgreSQL refuses to run as root, so root
// hands it to the account postgres or, without one, nobody.
type account struct {
	name     string
	uid, gid int
	drop     bool // run the server as this account; else as ourselves
}

func accountFor(euid int) (account, error) {
	if euid != 0 {
		return account{name: "uid " + strconv.Itoa(euid), uid: euid, gid: os.Getegid()}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.Atoi(u.Uid)
		gid, errG := strconv.Atoi(u.Gid)
		if errU == nil && errG == nil && uid != 0 {
			return account{name: name, uid: uid, gid: gid, drop: true}, nil
		}
	}
	return account{}, fmt.Errorf("PostgreSQL does not run as root, and there is neither an account postgres nor nobody to hand it to: start this as an ordinary user")
}

// attr makes a process run as the account, in a process group of its own so
// that Ctrl-C reaches this process first, and makes the kernel shut it down
// when this process dies.
func (a account) attr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
	if a.drop {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

// own hands a file or directory to the account.
func (a account) own(path string) error {
	if !a.drop {
		return nil
	}
	if err := os.Chown(path, a.uid, a.gid); err != nil {
		return fmt.Errorf("handing %s to %s: %w", path, a.name, err)
	}
	return nil
}

// canEnter says whether the account can go through every directory above path
// and into path itself, and if not, what stops it.
func (a account) canEnter(path string) error {
	for _, dir := range parents(path) {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("looking at %s: %w", dir, err)
		}
		if !a.mayEnter(info) {
			return fmt.Errorf("PostgreSQL runs as %s, who may not enter %s (mode %04o): choose a directory elsewhere, such as /var/lib/rampkeeper-dev, or run chmod o+x %s",
				a.name, dir, info.Mode().Perm(), dir)
		}
	}
	return nil
}

func (a account) mayEnter(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	mode := info.Mode().Perm()
	switch {
	case !info.IsDir():
		return false
	case int(stat.Uid) == a.uid:
		return mode&0o100 != 0
	case int(stat.Gid) == a.gid || !a.drop && a.inGroup(int(stat.Gid)):
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

func (a account) inGroup(gid int) bool {
	groups, err := os.Getgroups()
	return err == nil && slices.Contains(groups, gid)
}

// parents lists the directories from the root down to path.
func parents(path string) []string {
	dirs := []string{path}
	for path != filepath.Dir(path) {
		path = filepath.Dir(path)
		dirs = append(dirs, path)
	}
	slices.Reverse(dirs)
	return dirs
}
