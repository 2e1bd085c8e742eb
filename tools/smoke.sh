#!/bin/sh
# Twenty checks of an S3 endpoint by aws-cli (1 or 2) and curl: `tools/smoke.sh URL`.
#
# Keys, profile and certificates come from the environment, as aws-cli reads them; AWS names the
# program if it is not `aws`. Without AWS_CONFIG_FILE, buckets are named in the path. All happens in
# a bucket with a random name, which is removed at the end. A line for each check says ok, not
# served (the endpoint answered NotImplemented) or FAILED. Ends with 0 unless one FAILED.
set -u

if [ $# -ne 1 ]; then echo "usage: $0 URL" >&2; exit 2; fi
url=${1%/}
work=$(mktemp -d) || exit 2
bucket=smoke-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
ok=0 unserved=0 failed=0

if [ -z "${AWS_CONFIG_FILE:-}" ]; then
    printf '[default]\ns3 =\n    addressing_style = path\n' > "$work/config"
    AWS_CONFIG_FILE=$work/config
    export AWS_CONFIG_FILE
fi
AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-${AWS_REGION:-us-east-1}}
AWS_EC2_METADATA_DISABLED=true AWS_MAX_ATTEMPTS=1 AWS_PAGER=
export AWS_DEFAULT_REGION AWS_EC2_METADATA_DISABLED AWS_MAX_ATTEMPTS AWS_PAGER

aws() { command "${AWS:-aws}" --endpoint-url "$url" "$@"; }

api() {
    operation=$1
    shift
    aws s3api "$operation" --bucket "$bucket" --output text "$@"
}

# The status of a plain request, as somebody without keys would send it.
status_of() {
    curl -sS -o "$work/fetched" -w '%{http_code}' ${AWS_CA_BUNDLE:+--cacert "$AWS_CA_BUNDLE"} "$1"
}

# Whether a command fails, and says why in these words.
is_refused() {
    words=$1
    shift
    if said=$("$@" 2>&1); then echo "was not refused"; return 1; fi
    case $said in *"$words"*) ;; *) echo "$said"; return 1 ;; esac
}

is() {
    if [ "$1" != "$2" ]; then echo "expected $2, found $1"; return 1; fi
}

clean() {
    aws s3api head-bucket --bucket "$bucket" > "$work/last" 2>&1 && {
        aws s3 rm --recursive "s3://$bucket"
        aws s3api delete-bucket --bucket "$bucket"
    } > "$work/last" 2>&1
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# check NAME FUNCTION: prints its line. What a function prints is shown where it fails.
check() {
    if said=$("$2" 2>&1); then
        word=ok ok=$((ok + 1)) said=
    else
        case $said in
        *NotImplemented*) word='not served' unserved=$((unserved + 1)) said= ;;
        *) word=FAILED failed=$((failed + 1)) said=": $(echo "$said" | tr -s '\n ' ' ')" ;;
        esac
    fi
    printf '%-11s %s%s\n' "$word" "$1" "$said"
}

make_bucket() { api create-bucket; }

head_bucket() { api head-bucket; }

list_buckets() {
    found=$(aws s3api list-buckets --query "Buckets[?Name=='$bucket'].Name" --output text) &&
        is "$found" "$bucket"
}

put() {
    api put-object --key small.txt --body "$work/small" --content-type text/plain \
        --metadata note=smoke
}

get() {
    api get-object --key small.txt "$work/back" && cmp "$work/small" "$work/back"
}

head_object() {
    found=$(api head-object --key small.txt --query '[ContentLength,ContentType,Metadata.note]') &&
        is "$found" "11	text/plain	smoke"
}

range() {
    api get-object --key small.txt --range bytes=6-8 "$work/back" && is "$(cat "$work/back")" wor
}

read_if() {
    etag=$(api head-object --key small.txt --query ETag) &&
        is_refused 304 api get-object --key small.txt --if-none-match "$etag" "$work/back" &&
        is_refused 412 api head-object --key small.txt --if-match '"another"'
}

write_if() {
    is_refused PreconditionFailed api put-object --key small.txt --if-none-match '*' \
        --body "$work/large" && get
}

large() {
    api put-object --key large.bin --body "$work/large" &&
        api get-object --key large.bin "$work/back" && cmp "$work/large" "$work/back"
}

awkward() {
    key='folder/a b+c&d=e?%41#é.txt'
    api put-object --key "$key" --body "$work/small" &&
        api get-object --key "$key" "$work/back" && cmp "$work/small" "$work/back" &&
        is "$(api list-objects-v2 --prefix folder/ --query 'Contents[].Key')" "$key"
}

folders() {
    found=$(api list-objects-v2 --delimiter / \
        --query '[Contents[].Key,CommonPrefixes[].Prefix][]' | tr '\t' ' ') &&
        is "$found" 'large.bin small.txt folder/'
}

pages() {
    found=$(api list-objects-v2 --page-size 1 --query 'Contents[].Key' | wc -w) &&
        [ "$found" -ge 3 ]
}

versions() {
    found=$(api list-object-versions --prefix small.txt --query 'Versions[].[Key,IsLatest]') &&
        is "$found" "small.txt	True"
}

copy() {
    api copy-object --key copy.txt --copy-source "$bucket/small.txt" &&
        api get-object --key copy.txt "$work/back" && cmp "$work/small" "$work/back"
}

multipart() {
    upload=$(api create-multipart-upload --key parts.bin --query UploadId) || {
        echo "$upload"
        return 1
    }
    parts "$upload" || {
        api abort-multipart-upload --key parts.bin --upload-id "$upload"
        return 1
    }
}

parts() {
    one=$(api upload-part --key parts.bin --upload-id "$1" --part-number 1 \
        --body "$work/large" --query ETag) &&
        two=$(api upload-part --key parts.bin --upload-id "$1" --part-number 2 \
            --body "$work/small" --query ETag) &&
        api complete-multipart-upload --key parts.bin --upload-id "$1" --multipart-upload \
            "{\"Parts\":[$(part 1 "$one"),$(part 2 "$two")]}" &&
        api get-object --key parts.bin "$work/back" &&
        cat "$work/large" "$work/small" | cmp - "$work/back"
}

part() { printf '{"PartNumber":%s,"ETag":"%s"}' "$1" "$(echo "$2" | tr -d '"')"; }

presigned() {
    signed=$(aws s3 presign "s3://$bucket/small.txt") &&
        is "$(status_of "$signed")" 200 && cmp "$work/small" "$work/fetched"
}

changed() {
    signed=$(aws s3 presign "s3://$bucket/small.txt") &&
        is "$(status_of "$(echo "$signed" | sed 's/small\.txt/large.bin/')")" 403 &&
        is "$(status_of "${signed%%\?*}")" 403
}

delete() {
    api delete-object --key small.txt && is_refused 404 api head-object --key small.txt
}

delete_all() {
    found=$(api list-objects-v2 --query 'Contents[].{Key:Key}' --output json) &&
        api delete-objects --delete "{\"Objects\":$found}" &&
        is "$(api list-objects-v2 --query 'length(Contents || `[]`)')" 0 &&
        api delete-bucket && is_refused 404 api head-bucket
}

printf 'hello world' > "$work/small"
head -c 6291456 /dev/urandom > "$work/large"

check 'make a bucket' make_bucket
if [ $ok -eq 1 ]; then
    check 'head the bucket' head_bucket
    check 'list buckets' list_buckets
    check 'put an object' put
    check 'get it back' get
    check 'head it' head_object
    check 'read a range' range
    check 'read with a condition' read_if
    check 'write with a condition' write_if
    check 'put and get 6 MiB' large
    check 'a key with blanks and signs' awkward
    check 'list by folders' folders
    check 'list page by page' pages
    check 'list versions' versions
    check 'copy an object' copy
    check 'upload in parts' multipart
    check 'read by a presigned URL' presigned
    check 'refuse a changed URL' changed
    check 'delete an object' delete
    check 'delete the rest and the bucket' delete_all
fi
echo "$((ok + unserved + failed)) checks: $ok ok, $unserved not served, $failed FAILED"
[ $failed -eq 0 ]
