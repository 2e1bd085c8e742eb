"""boto3 moves trees, with its managed transfers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.clients.site import Site
from tests.clients.trees import files_below

FILES_AT_ONCE = 4


class Boto3:
    """boto3 in this process, with its defaults."""

    def __init__(self, site: Site, home: Path) -> None:
        self._s3 = site.boto3()

    def go_around(self, bucket: str, tree: Path, back: Path) -> None:
        """Up with four threads, listed by pages, back down, removed by DeleteObjects."""
        self._s3.create_bucket(Bucket=bucket)
        keys = sorted((str(path) for path in files_below(tree)), key=str.encode)

        def fetch(key: str) -> None:
            (back / key).parent.mkdir(parents=True, exist_ok=True)
            self._s3.download_file(bucket, key, str(back / key))

        with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
            list(pool.map(lambda key: self._s3.upload_file(str(tree / key), bucket, key), keys))
            assert self._listed(bucket) == keys
            list(pool.map(fetch, keys))
        for start in range(0, len(keys), 1000):
            objects = [{"Key": key} for key in keys[start : start + 1000]]
            answer = self._s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
            assert len(answer["Deleted"]) == len(objects)
        self._s3.delete_bucket(Bucket=bucket)

    def _listed(self, bucket: str) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, PaginationConfig={"PageSize": 300}
        )
        return [entry["Key"] for page in pages for entry in page["Contents"]]
