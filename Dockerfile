# An image of fastobj: `docker build -t fastobj .`, then see docs/docker.md.

FROM python:3.13-slim-bookworm AS builder
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY pyproject.toml setup.py README.md LICENSE ./
COPY src src
RUN python -m venv --without-pip /opt/fastobj \
    && python -m pip --python /opt/fastobj/bin/python install --no-cache-dir '.[events]'

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="fastobj" \
      org.opencontainers.image.description="An S3-compatible object store that starts with one command" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 fastobj \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin fastobj
RUN install --directory --owner=10001 --group=10001 --mode=0700 /data
COPY --from=builder /opt/fastobj /opt/fastobj
# Settings stand here, not in CMD, so that server and health check read the same ones.
ENV PATH=/opt/fastobj/bin:$PATH \
    FASTOBJ_ADDRESS=:9000 \
    FASTOBJ_CONSOLE_ADDRESS=:9001
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 9000 9001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["fastobj", "health"]
ENTRYPOINT ["fastobj"]
CMD ["server", "/data"]
