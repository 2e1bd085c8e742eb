// What somebody does with JavaScript's SDK in a day; scripts.py says with which arguments.
"use strict";

const assert = require("node:assert/strict");
const { randomBytes } = require("node:crypto");
const dns = require("node:dns");
const fs = require("node:fs");
const path = require("node:path");
const { pipeline } = require("node:stream/promises");
const s3 = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");

const [endpoint, style, Bucket, tree, back] = process.argv.slice(2);
const KEYS = ["plain", "a/b/c", "with blanks + signs", "ümlaut/键"];
const LARGE = randomBytes(12 * 1024 * 1024 + 1); // above 5 MiB it goes up in parts
const FILES_AT_ONCE = 8;

// Names below localhost are this machine's, as RFC 6761 has it and the resolver does not.
const lookup = dns.lookup;
dns.lookup = (name, ...rest) =>
  lookup(name.endsWith(".localhost") ? "127.0.0.1" : name, ...rest);

// With an address for an endpoint the client names buckets in the path by itself.
const client = new s3.S3Client({ endpoint, region: process.env.AWS_DEFAULT_REGION });
const send = (Command, input) => client.send(new s3[`${Command}Command`]({ Bucket, ...input }));

async function read(Key, more = {}) {
  const answer = await send("GetObject", { Key, ...more });
  return Buffer.from(await answer.Body.transformToByteArray());
}

async function listed() {
  const keys = [];
  for await (const page of s3.paginateListObjectsV2({ client }, { Bucket })) {
    keys.push(...(page.Contents ?? []).map((entry) => entry.Key));
  }
  return keys;
}

const byBytes = (keys) => [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

async function everyday() {
  await assert.rejects(send("HeadBucket"), { name: "NotFound" });
  await send("CreateBucket");
  const { Buckets } = await client.send(new s3.ListBucketsCommand({}));
  assert(Buckets.some((bucket) => bucket.Name === Bucket));
  await objects();
  await inParts();
  await presigned();
  await remove();
  await assert.rejects(send("HeadBucket"), { name: "NotFound" });
}

async function objects() {
  for (const Key of KEYS) {
    const put = await send("PutObject", { Key, Body: Key, Metadata: { note: "x y" } });
    assert(put.ChecksumCRC32, "its default checksum");
    assert.equal((await read(Key)).toString(), Key);
    assert.deepEqual((await send("HeadObject", { Key })).Metadata, { note: "x y" });
  }
  assert.deepEqual(await listed(), byBytes(KEYS));
  const page = await send("ListObjectsV2", { Delimiter: "/" });
  assert.deepEqual(page.CommonPrefixes.map((each) => each.Prefix), ["a/", "ümlaut/"]);
  const CopySource = encodeURIComponent(`${Bucket}/${KEYS[2]}`);
  await send("CopyObject", { Key: "copy", CopySource });
  assert.equal((await read("copy")).toString(), KEYS[2]);
  assert.deepEqual((await send("HeadObject", { Key: "copy" })).Metadata, { note: "x y" });
  await assert.rejects(read("absent"), { name: "NoSuchKey" });
}

async function inParts() {
  await send("PutObject", { Key: "large", Body: LARGE });
  assert((await read("large")).equals(LARGE));
  await new Upload({ client, params: { Bucket, Key: "large", Body: LARGE } }).done();
  assert.match((await send("HeadObject", { Key: "large" })).ETag, /-3"$/);
  assert((await read("large")).equals(LARGE));
  const Range = "bytes=5242870-5242889";
  assert((await read("large", { Range })).equals(LARGE.subarray(5242870, 5242890)));
}

// The URL to put names the checksum of an empty body, for no other was known: S3 does not heed it.
async function presigned() {
  const expiresIn = 60;
  const put = new s3.PutObjectCommand({ Bucket, Key: "plain" });
  const url = await getSignedUrl(client, put, { expiresIn });
  const answer = await fetched(url, { method: "PUT", body: "link" });
  assert.equal(answer.status, 200, answer.text);
  const get = new s3.GetObjectCommand({ Bucket, Key: "plain" });
  const found = await fetched(await getSignedUrl(client, get, { expiresIn }), { method: "GET" });
  assert.equal(found.text, "link");
}

// What a URL answers to somebody without keys: its status and its text.
function fetched(url, { method, body = "" }) {
  const http = require(url.startsWith("https:") ? "node:https" : "node:http");
  return new Promise((resolve, reject) => {
    const headers = body ? { "Content-Length": body.length } : {};
    const request = http.request(url, { method, headers });
    request.on("error", reject);
    request.on("response", async (response) => {
      resolve({ status: response.statusCode, text: (await response.toArray()).join("") });
    });
    request.end(body);
  });
}

async function remove() {
  await send("DeleteObject", { Key: "large" });
  const keys = await listed();
  for (let start = 0; start < keys.length; start += 1000) {
    const Objects = keys.slice(start, start + 1000).map((Key) => ({ Key }));
    const answer = await send("DeleteObjects", { Delete: { Objects } });
    assert.equal(answer.Deleted.length, Objects.length);
  }
  assert.deepEqual(await listed(), []);
  await send("DeleteBucket");
}

async function goAround() {
  await send("CreateBucket");
  const entries = fs.readdirSync(tree, { recursive: true, withFileTypes: true });
  const keys = entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(tree, path.join(entry.path, entry.name)));
  await sideBySide(keys, async (Key) => {
    const Body = fs.createReadStream(path.join(tree, Key));
    await new Upload({ client, params: { Bucket, Key, Body } }).done();
  });
  assert.deepEqual(await listed(), byBytes(keys));
  await sideBySide(keys, async (Key) => {
    const place = path.join(back, Key);
    fs.mkdirSync(path.dirname(place), { recursive: true });
    await pipeline((await send("GetObject", { Key })).Body, fs.createWriteStream(place));
  });
  await remove();
}

async function sideBySide(keys, work) {
  const waiting = [...keys];
  const one = async () => {
    for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) await work(key);
  };
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, one));
}

(tree ? goAround() : everyday()).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
