// Package e2e judges a running server (E2E_CONNECT=host:port,…) with github.com/go-zookeeper/zk.
package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

type silent struct{}

func (silent) Printf(string, ...interface{}) {}

func servers() []string {
	return strings.Split(os.Getenv("E2E_CONNECT"), ",")
}

func connect(t *testing.T, options ...func(*zk.Conn)) *zk.Conn {
	t.Helper()
	all := []func(*zk.Conn){}
	all = append(all, options...)
	conn, events, err := zk.Connect(servers(), 5*time.Second, func(c *zk.Conn) {
		c.SetLogger(silent{})
		for _, option := range all {
			option(c)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	deadline := time.After(10 * time.Second)
	for {
		select {
		case event := <-events:
			if event.State == zk.StateHasSession {
				return conn
			}
		case <-deadline:
			t.Fatal("no session in 10 s")
		}
	}
}

func base(t *testing.T, conn *zk.Conn) string {
	t.Helper()
	path := fmt.Sprintf("/go-%s-%d", strings.ToLower(t.Name()), time.Now().UnixNano())
	must(conn.Create(path, nil, 0, zk.WorldACL(zk.PermAll)))(t)
	return path
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func wants(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func next(t *testing.T, events <-chan zk.Event) zk.Event {
	t.Helper()
	select {
	case event := <-events:
		return event
	case <-time.After(10 * time.Second):
		t.Fatal("no event in 10 s")
		return zk.Event{}
	}
}

func TestCreateReadWriteDelete(t *testing.T) {
	c := connect(t)
	path := base(t, c) + "/a"
	if made := must(c.Create(path, []byte("1"), 0, zk.WorldACL(zk.PermAll)))(t); made != path {
		t.Fatal(made)
	}
	data, stat, err := c.Get(path)
	if err != nil || !bytes.Equal(data, []byte("1")) || stat.Version != 0 || stat.DataLength != 1 {
		t.Fatal(data, stat, err)
	}
	if stat := must(c.Set(path, []byte("22"), 0))(t); stat.Version != 1 || stat.DataLength != 2 {
		t.Fatal(stat)
	}
	_, err = c.Set(path, nil, 0)
	wants(t, err, zk.ErrBadVersion)
	_, err = c.Create(path, nil, 0, zk.WorldACL(zk.PermAll))
	wants(t, err, zk.ErrNodeExists)
	wants(t, c.Delete(path, 0), zk.ErrBadVersion)
	if err := c.Delete(path, 1); err != nil {
		t.Fatal(err)
	}
	exists, _, err := c.Exists(path)
	if exists || err != nil {
		t.Fatal(exists, err)
	}
	_, _, err = c.Get(path)
	wants(t, err, zk.ErrNoNode)
}

func TestErrors(t *testing.T) {
	c := connect(t)
	path := base(t, c)
	must(c.Create(path+"/e", nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll)))(t)
	_, err := c.Create(path+"/e/x", nil, 0, zk.WorldACL(zk.PermAll))
	wants(t, err, zk.ErrNoChildrenForEphemerals)
	wants(t, c.Delete(path, -1), zk.ErrNotEmpty)
	_, err = c.Create(path+"/acl", nil, 0, nil)
	wants(t, err, zk.ErrInvalidACL)
	_, err = c.Create(path+"/no/parent", nil, 0, zk.WorldACL(zk.PermAll))
	wants(t, err, zk.ErrNoNode)
}

func TestSequentialAndEphemeral(t *testing.T) {
	c := connect(t)
	path := base(t, c)
	for i := 0; i < 5; i++ {
		made := must(c.Create(path+"/s-", nil, zk.FlagSequence|zk.FlagEphemeral, zk.WorldACL(zk.PermAll)))(t)
		if want := fmt.Sprintf("%s/s-%010d", path, i); made != want {
			t.Fatal(made, want)
		}
	}
	_, stat, err := c.Exists(path + "/s-0000000000")
	if err != nil || stat.EphemeralOwner != c.SessionID() {
		t.Fatal(stat, err)
	}
	protected := must(c.CreateProtectedEphemeralSequential(path+"/p-", nil, zk.WorldACL(zk.PermAll)))(t)
	if !strings.Contains(protected, "_c_") {
		t.Fatal(protected)
	}
}

func TestContainersAndTTL(t *testing.T) {
	c := connect(t)
	path := base(t, c)
	must(c.CreateContainer(path+"/c", nil, zk.FlagContainer, zk.WorldACL(zk.PermAll)))(t)
	must(c.CreateTTL(path+"/t", nil, zk.FlagTTL, zk.WorldACL(zk.PermAll), 300*time.Millisecond))(t)
	must(c.Create(path+"/c/x", nil, 0, zk.WorldACL(zk.PermAll)))(t)
	if err := c.Delete(path+"/c/x", -1); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/c", "/t"} {
		end := time.Now().Add(10 * time.Second)
		for {
			exists, _, err := c.Exists(path + name)
			if err == nil && !exists {
				break
			}
			if time.Now().After(end) {
				t.Fatal(name, "is still there")
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func TestChildren(t *testing.T) {
	c := connect(t)
	path := base(t, c)
	for _, name := range []string{"b", "a", "c"} {
		must(c.Create(path+"/"+name, nil, 0, zk.WorldACL(zk.PermAll)))(t)
	}
	names, stat, err := c.Children(path)
	sort.Strings(names)
	if err != nil || strings.Join(names, "") != "abc" || stat.NumChildren != 3 || stat.Cversion != 3 {
		t.Fatal(names, stat, err)
	}
}

func TestOneShotWatches(t *testing.T) {
	c := connect(t)
	path := base(t, c)
	_, _, data, err := c.GetW(path)
	if err != nil {
		t.Fatal(err)
	}
	_, _, children, err := c.ChildrenW(path)
	if err != nil {
		t.Fatal(err)
	}
	_, _, born, err := c.ExistsW(path + "/a")
	if err != nil {
		t.Fatal(err)
	}
	must(c.Set(path, []byte("x"), -1))(t)
	must(c.Create(path+"/a", nil, 0, zk.WorldACL(zk.PermAll)))(t)
	if e := next(t, data); e.Type != zk.EventNodeDataChanged || e.Path != path {
		t.Fatal(e)
	}
	if e := next(t, children); e.Type != zk.EventNodeChildrenChanged {
		t.Fatal(e)
	}
	if e := next(t, born); e.Type != zk.EventNodeCreated || e.Path != path+"/a" {
		t.Fatal(e)
	}
}

func TestMulti(t *testing.T) {
	c := connect(t)
	path := base(t, c)
	results, err := c.Multi(
		&zk.CreateRequest{Path: path + "/a", Acl: zk.WorldACL(zk.PermAll)},
		&zk.SetDataRequest{Path: path + "/a", Data: []byte("x"), Version: 0},
		&zk.CheckVersionRequest{Path: path + "/a", Version: 1},
		&zk.DeleteRequest{Path: path + "/a", Version: 1},
	)
	if err != nil || len(results) != 4 || results[0].String != path+"/a" || results[1].Stat.Version != 1 {
		t.Fatal(results, err)
	}
	_, err = c.Multi(
		&zk.CreateRequest{Path: path + "/b", Acl: zk.WorldACL(zk.PermAll)},
		&zk.CheckVersionRequest{Path: path, Version: 9},
	)
	wants(t, err, zk.ErrBadVersion)
	if exists, _, _ := c.Exists(path + "/b"); exists {
		t.Fatal("half a transaction")
	}
}

func TestACLs(t *testing.T) {
	alice, other := connect(t), connect(t)
	path := base(t, alice) + "/private"
	if err := alice.AddAuth("digest", []byte("alice:secret")); err != nil {
		t.Fatal(err)
	}
	must(alice.Create(path, []byte("p"), 0, zk.DigestACL(zk.PermAll, "alice", "secret")))(t)
	must(other.Sync(path))(t)
	_, _, err := other.Get(path)
	wants(t, err, zk.ErrNoAuth)
	if err := other.AddAuth("digest", []byte("alice:secret")); err != nil {
		t.Fatal(err)
	}
	if data, _, err := other.Get(path); err != nil || string(data) != "p" {
		t.Fatal(data, err)
	}
	acls, stat, err := alice.GetACL(path)
	if err != nil || len(acls) != 1 || acls[0].Scheme != "digest" || stat.Aversion != 0 {
		t.Fatal(acls, stat, err)
	}
	if stat := must(alice.SetACL(path, zk.WorldACL(zk.PermRead), 0))(t); stat.Aversion != 1 {
		t.Fatal(stat)
	}
	must(alice.Sync(path))(t)
	_, err = alice.Set(path, nil, -1)
	wants(t, err, zk.ErrNoAuth)
}

func TestLocksExclude(t *testing.T) {
	path := base(t, connect(t)) + "/lock"
	var guard sync.Mutex
	var group sync.WaitGroup
	inside, most := 0, 0
	for i := 0; i < 4; i++ {
		lock := zk.NewLock(connect(t), path, zk.WorldACL(zk.PermAll))
		group.Add(1)
		go func() {
			defer group.Done()
			for n := 0; n < 5; n++ {
				if err := lock.Lock(); err != nil {
					t.Error(err)
					return
				}
				guard.Lock()
				inside++
				most = max(most, inside)
				guard.Unlock()
				time.Sleep(2 * time.Millisecond)
				guard.Lock()
				inside--
				guard.Unlock()
				if err := lock.Unlock(); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	group.Wait()
	if most != 1 {
		t.Fatal(most, "were inside at once")
	}
}

// TestReconnect cuts the connection under the client: the session, its ephemerals and its watches
// outlive that.
func TestReconnect(t *testing.T) {
	var guard sync.Mutex
	var current net.Conn
	dial := func(network, address string, timeout time.Duration) (net.Conn, error) {
		made, err := net.DialTimeout(network, address, timeout)
		guard.Lock()
		current = made
		guard.Unlock()
		return made, err
	}
	conn, events, err := zk.Connect(servers(), 5*time.Second, zk.WithDialer(dial),
		func(c *zk.Conn) { c.SetLogger(silent{}) })
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for next(t, events).State != zk.StateHasSession {
	}
	path := base(t, conn)
	must(conn.Create(path+"/e", nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll)))(t)
	session := conn.SessionID()
	_, _, watch, err := conn.GetW(path)
	if err != nil {
		t.Fatal(err)
	}
	guard.Lock()
	current.Close()
	guard.Unlock()
	for next(t, events).State != zk.StateHasSession {
	}
	_, stat, err := conn.Exists(path + "/e")
	if err != nil || conn.SessionID() != session || stat.EphemeralOwner != session {
		t.Fatal(stat, err)
	}
	must(conn.Set(path, []byte("x"), -1))(t)
	if e := next(t, watch); e.Type != zk.EventNodeDataChanged {
		t.Fatal(e)
	}
}

func TestEphemeralsEndWithTheSession(t *testing.T) {
	watcher := connect(t)
	path := base(t, watcher)
	dying := connect(t)
	must(dying.Create(path+"/e", nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll)))(t)
	must(watcher.Sync(path))(t)
	exists, _, events, err := watcher.ExistsW(path + "/e")
	if err != nil || !exists {
		t.Fatal(exists, err)
	}
	dying.Close()
	if e := next(t, events); e.Type != zk.EventNodeDeleted {
		t.Fatal(e)
	}
}

func TestManyInFlight(t *testing.T) {
	c := connect(t)
	path := base(t, c)
	var group sync.WaitGroup
	for i := 0; i < 1000; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if _, err := c.Create(fmt.Sprintf("%s/%d", path, i), nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
				t.Error(err)
			}
		}()
	}
	group.Wait()
	names, _, err := c.Children(path)
	if err != nil || len(names) != 1000 {
		t.Fatal(len(names), err)
	}
}

func TestLargeData(t *testing.T) {
	c := connect(t)
	path := base(t, c)
	value := bytes.Repeat([]byte("x"), 1_000_000)
	must(c.Set(path, value, -1))(t)
	data, _, err := c.Get(path)
	if err != nil || !bytes.Equal(data, value) {
		t.Fatal(len(data), err)
	}
}

func TestFourLetterWords(t *testing.T) {
	for _, ok := range zk.FLWRuok(servers(), 5*time.Second) {
		if !ok {
			t.Fatal("ruok is not answered with imok")
		}
	}
}
