package main

import (
	"bytes"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// minioLibrary is minio-go.
type minioLibrary struct {
	client *minio.Client
	bucket string
}

func newMinio(endpoint, style, bucket string) library {
	address, err := url.Parse(endpoint)
	must(err)
	options := minio.Options{
		Creds:     credentials.NewEnvAWS(),
		Secure:    address.Scheme == "https",
		Transport: transport(),
	}
	if style == "virtual" {
		options.BucketLookup = minio.BucketLookupDNS
	}
	client, err := minio.New(address.Host, &options)
	must(err)
	return &minioLibrary{client, bucket}
}

func (l *minioLibrary) makeBucket() {
	must(l.client.MakeBucket(background, l.bucket, minio.MakeBucketOptions{}))
}

func (l *minioLibrary) hasBucket() bool {
	found, err := l.client.BucketExists(background, l.bucket)
	must(err)
	return found
}

func (l *minioLibrary) removeBucket() { must(l.client.RemoveBucket(background, l.bucket)) }

func (l *minioLibrary) putStream(key string, body io.Reader, length int64) {
	_, err := l.client.PutObject(background, l.bucket, key, body, length,
		minio.PutObjectOptions{UserMetadata: map[string]string{"note": "x y"}})
	must(err)
}

func (l *minioLibrary) put(key string, body []byte) {
	l.putStream(key, bytes.NewReader(body), int64(len(body)))
}

func (l *minioLibrary) get(key string) []byte {
	body, err := l.client.GetObject(background, l.bucket, key, minio.GetObjectOptions{})
	must(err)
	defer body.Close()
	whole, err := io.ReadAll(body)
	must(err)
	return whole
}

func (l *minioLibrary) head(key string) minio.ObjectInfo {
	found, err := l.client.StatObject(background, l.bucket, key, minio.StatObjectOptions{})
	must(err)
	return found
}

func (l *minioLibrary) note(key string) string { return l.head(key).UserMetadata["Note"] }

func (l *minioLibrary) etag(key string) string { return l.head(key).ETag }

func (l *minioLibrary) copy(from, to string) {
	_, err := l.client.CopyObject(background,
		minio.CopyDestOptions{Bucket: l.bucket, Object: to},
		minio.CopySrcOptions{Bucket: l.bucket, Object: from})
	must(err)
}

func (l *minioLibrary) entries(recursive bool) (found []string) {
	options := minio.ListObjectsOptions{Recursive: recursive}
	for entry := range l.client.ListObjects(background, l.bucket, options) {
		must(entry.Err)
		found = append(found, entry.Key)
	}
	return found
}

func (l *minioLibrary) list() []string { return l.entries(true) }

func (l *minioLibrary) folders() (found []string) {
	for _, name := range l.entries(false) {
		if strings.HasSuffix(name, "/") {
			found = append(found, name)
		}
	}
	return found
}

func (l *minioLibrary) remove(keys []string) {
	entries := make(chan minio.ObjectInfo)
	go func() {
		defer close(entries)
		for _, key := range keys {
			entries <- minio.ObjectInfo{Key: key}
		}
	}()
	options := minio.RemoveObjectsOptions{}
	for failed := range l.client.RemoveObjects(background, l.bucket, entries, options) {
		must(failed.Err)
	}
}

func (l *minioLibrary) presigned(method, key string) string {
	if method == "PUT" {
		made, err := l.client.PresignedPutObject(background, l.bucket, key, time.Minute)
		must(err)
		return made.String()
	}
	made, err := l.client.PresignedGetObject(background, l.bucket, key, time.Minute, nil)
	must(err)
	return made.String()
}

func (l *minioLibrary) upload(key, path string) {
	_, err := l.client.FPutObject(background, l.bucket, key, path, minio.PutObjectOptions{})
	must(err)
}

func (l *minioLibrary) download(key, path string) {
	must(l.client.FGetObject(background, l.bucket, key, path, minio.GetObjectOptions{}))
}
