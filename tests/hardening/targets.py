"""Where the rows of the operation table store a body: an object, or a part of an upload."""


class Target:
    """The key `key` of a bucket, as a row reaches it; its upload, if it has one, is begun."""

    def __init__(self, op, s3, bucket):
        self.op = op
        self._s3 = s3
        self._named = {"Bucket": bucket, "Key": "key"}
        self.query = ""
        if "uploadId" in op.query:
            upload = s3.create_multipart_upload(**self._named)["UploadId"]
            self._named["UploadId"] = upload
            self.query = f"partNumber=1&uploadId={upload}"

    def parts(self):
        """The parts that the upload has."""
        return self._s3.list_parts(**self._named).get("Parts", [])

    def is_empty(self):
        """Whether nothing has been stored there."""
        if self.query:
            return not self.parts()
        return "Contents" not in self._s3.list_objects_v2(
            Bucket=self._named["Bucket"], Prefix="key"
        )

    def found(self):
        """The object, of the only part where it is one."""
        if self.query:
            listed = [{"PartNumber": 1, "ETag": part["ETag"]} for part in self.parts()]
            self._s3.complete_multipart_upload(**self._named, MultipartUpload={"Parts": listed})
        return self._s3.get_object(Bucket=self._named["Bucket"], Key="key")

    def crc32(self):
        """The CRC32 that is stored with the body, in base64."""
        if self.query:
            return self.parts()[0]["ChecksumCRC32"]
        return self._s3.head_object(**self._named, ChecksumMode="ENABLED")["ChecksumCRC32"]
