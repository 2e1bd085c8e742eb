package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// awsLibrary is aws-sdk-go-v2 with its manager of transfers.
type awsLibrary struct {
	client *s3.Client
	bucket *string
}

// newAws names nothing but the endpoint: with an address the library uses path style by itself.
func newAws(endpoint, bucket string) library {
	client := awshttp.NewBuildableClient().WithTransportOptions(func(each *http.Transport) {
		each.DialContext = dial
	})
	settings, err := config.LoadDefaultConfig(background, config.WithHTTPClient(client))
	must(err)
	made := s3.NewFromConfig(settings, func(options *s3.Options) {
		options.BaseEndpoint = aws.String(endpoint)
	})
	return &awsLibrary{made, aws.String(bucket)}
}

func (l *awsLibrary) makeBucket() {
	_, err := l.client.CreateBucket(background, &s3.CreateBucketInput{Bucket: l.bucket})
	must(err)
}

func (l *awsLibrary) hasBucket() bool {
	_, err := l.client.HeadBucket(background, &s3.HeadBucketInput{Bucket: l.bucket})
	var absent *types.NotFound
	if errors.As(err, &absent) {
		return false
	}
	must(err)
	return true
}

func (l *awsLibrary) removeBucket() {
	_, err := l.client.DeleteBucket(background, &s3.DeleteBucketInput{Bucket: l.bucket})
	must(err)
}

func (l *awsLibrary) putStream(key string, body io.Reader) {
	_, err := manager.NewUploader(l.client).Upload(background, &s3.PutObjectInput{
		Bucket: l.bucket, Key: &key, Body: body, Metadata: map[string]string{"note": "x y"}})
	must(err)
}

func (l *awsLibrary) put(key string, body []byte) {
	l.putStream(key, bytes.NewReader(body))
	if len(body) < 1<<20 { // and as a stream that cannot be rewound
		l.putStream(key, io.MultiReader(bytes.NewReader(body)))
	}
}

func (l *awsLibrary) get(key string) []byte {
	body := manager.NewWriteAtBuffer(nil)
	input := &s3.GetObjectInput{Bucket: l.bucket, Key: &key}
	_, err := manager.NewDownloader(l.client).Download(background, body, input)
	must(err)
	answer, err := l.client.GetObject(background, input)
	must(err)
	defer answer.Body.Close()
	whole, err := io.ReadAll(answer.Body)
	must(err)
	check(bytes.Equal(whole, body.Bytes()), "read at once and in ranges", key)
	return whole
}

func (l *awsLibrary) head(key string) *s3.HeadObjectOutput {
	found, err := l.client.HeadObject(background, &s3.HeadObjectInput{Bucket: l.bucket, Key: &key})
	must(err)
	return found
}

func (l *awsLibrary) note(key string) string { return l.head(key).Metadata["note"] }

func (l *awsLibrary) etag(key string) string { return *l.head(key).ETag }

func (l *awsLibrary) copy(from, to string) {
	source := url.QueryEscape(*l.bucket + "/" + from)
	_, err := l.client.CopyObject(background, &s3.CopyObjectInput{
		Bucket: l.bucket, Key: &to, CopySource: &source})
	must(err)
}

func (l *awsLibrary) list() (found []string) {
	pages := s3.NewListObjectsV2Paginator(l.client, &s3.ListObjectsV2Input{Bucket: l.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(background)
		must(err)
		for _, entry := range page.Contents {
			found = append(found, *entry.Key)
		}
	}
	return found
}

func (l *awsLibrary) folders() (found []string) {
	page, err := l.client.ListObjectsV2(background, &s3.ListObjectsV2Input{
		Bucket: l.bucket, Delimiter: aws.String("/")})
	must(err)
	for _, each := range page.CommonPrefixes {
		found = append(found, *each.Prefix)
	}
	return found
}

func (l *awsLibrary) remove(keys []string) {
	for start := 0; start < len(keys); start += 1000 {
		var some []types.ObjectIdentifier
		for _, key := range keys[start:min(start+1000, len(keys))] {
			some = append(some, types.ObjectIdentifier{Key: aws.String(key)})
		}
		answer, err := l.client.DeleteObjects(background, &s3.DeleteObjectsInput{
			Bucket: l.bucket, Delete: &types.Delete{Objects: some}})
		must(err)
		check(len(answer.Errors) == 0, "errors of DeleteObjects", answer.Errors)
	}
}

func (l *awsLibrary) presigned(method, key string) string {
	maker := s3.NewPresignClient(l.client)
	if method == "PUT" {
		made, err := maker.PresignPutObject(background, &s3.PutObjectInput{Bucket: l.bucket, Key: &key})
		must(err)
		return made.URL
	}
	made, err := maker.PresignGetObject(background, &s3.GetObjectInput{Bucket: l.bucket, Key: &key})
	must(err)
	return made.URL
}

func (l *awsLibrary) upload(key, path string) {
	file, err := os.Open(path)
	must(err)
	defer file.Close()
	l.putStream(key, file)
}

func (l *awsLibrary) download(key, path string) {
	file, err := os.Create(path)
	must(err)
	input := &s3.GetObjectInput{Bucket: l.bucket, Key: &key}
	_, err = manager.NewDownloader(l.client).Download(background, file, input)
	must(err)
	must(file.Close())
}
