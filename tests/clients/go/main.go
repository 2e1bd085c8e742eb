// What somebody does with two Go libraries in a day: `go aws|minio` and the arguments that
// scripts.py names.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

const filesAtOnce = 8

var (
	keys  = []string{"plain", "a/b/c", "with blanks + signs", "ümlaut/键"}
	large = make([]byte, 20<<20+1) // both libraries send it in parts
)

// library is what both libraries can do, so that one session judges them alike.
type library interface {
	makeBucket()
	hasBucket() bool
	removeBucket()
	put(key string, body []byte)
	get(key string) []byte
	note(key string) string
	etag(key string) string
	copy(from, to string)
	list() []string
	folders() []string
	remove(keys []string)
	presigned(method, key string) string
	upload(key, path string)
	download(key, path string)
}

var background = context.Background()

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func check(right bool, what string, found any) {
	if !right {
		panic(fmt.Sprintf("%s: %v", what, found))
	}
}

// dial finds names below localhost on this machine, as RFC 6761 has it and the resolver does not.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err == nil && strings.HasSuffix(host, ".localhost") {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// transport is the default one but for names.
func transport() *http.Transport {
	made := http.DefaultTransport.(*http.Transport).Clone()
	made.DialContext = dial
	return made
}

func byBytes(keys []string) []string {
	return slices.Sorted(slices.Values(keys))
}

func everyday(s3 library) {
	check(!s3.hasBucket(), "a bucket before it is made", true)
	s3.makeBucket()
	check(s3.hasBucket(), "a bucket that was made", false)
	for _, key := range keys {
		s3.put(key, []byte(key))
		check(string(s3.get(key)) == key, "what was put at "+key, s3.get(key))
		check(s3.note(key) == "x y", "metadata of "+key, s3.note(key))
	}
	check(slices.Equal(s3.list(), byBytes(keys)), "the listing", s3.list())
	check(slices.Equal(s3.folders(), []string{"a/", "ümlaut/"}), "folders", s3.folders())
	s3.copy(keys[2], "copy")
	check(string(s3.get("copy")) == keys[2], "the copy", s3.get("copy"))
	check(s3.note("copy") == "x y", "metadata of the copy", s3.note("copy"))
	s3.put("large", large)
	check(strings.Contains(s3.etag("large"), "-"), "the etag of what came in parts", s3.etag("large"))
	check(slices.Equal(s3.get("large"), large), "what came in parts", "other bytes")
	links(s3)
	removeAll(s3)
	check(!s3.hasBucket(), "a bucket that was removed", true)
}

// links are for somebody without keys.
func links(s3 library) {
	client := http.Client{Transport: transport()}
	request, err := http.NewRequest("PUT", s3.presigned("PUT", "plain"), strings.NewReader("link"))
	must(err)
	answer, err := client.Do(request)
	must(err)
	check(answer.StatusCode == 200, "a link to put", answer.Status)
	answer.Body.Close()
	answer, err = client.Get(s3.presigned("GET", "plain"))
	must(err)
	defer answer.Body.Close()
	found, err := io.ReadAll(answer.Body)
	must(err)
	check(string(found) == "link", "a link to get", string(found))
}

func removeAll(s3 library) {
	s3.remove(s3.list())
	check(len(s3.list()) == 0, "what is left", s3.list())
	s3.removeBucket()
}

func goAround(s3 library, tree, back string) {
	s3.makeBucket()
	var files []string
	must(filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		must(err)
		if !entry.IsDir() {
			key, err := filepath.Rel(tree, path)
			must(err)
			files = append(files, key)
		}
		return nil
	}))
	sideBySide(files, func(key string) { s3.upload(key, filepath.Join(tree, key)) })
	check(slices.Equal(s3.list(), byBytes(files)), "the listing", len(s3.list()))
	sideBySide(files, func(key string) {
		path := filepath.Join(back, key)
		must(os.MkdirAll(filepath.Dir(path), 0o777))
		s3.download(key, path)
	})
	removeAll(s3)
}

func sideBySide(keys []string, work func(string)) {
	waiting := make(chan string)
	var group sync.WaitGroup
	for range filesAtOnce {
		group.Go(func() {
			for key := range waiting {
				work(key)
			}
		})
	}
	for _, key := range keys {
		waiting <- key
	}
	close(waiting)
	group.Wait()
}

func main() {
	name, endpoint, style, bucket := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	_, err := rand.Read(large)
	must(err)
	var s3 library
	if name == "aws" {
		s3 = newAws(endpoint, bucket)
	} else {
		s3 = newMinio(endpoint, style, bucket)
	}
	if len(os.Args) > 5 {
		goAround(s3, os.Args[5], os.Args[6])
	} else {
		everyday(s3)
	}
}
