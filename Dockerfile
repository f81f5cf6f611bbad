# authlimit in an official image of Redis or Valkey, run by an ordinary user:
#
#   docker build -t authlimit .
#   docker build -t authlimit --build-arg SERVER=valkey/valkey:9.1 .
#
# SERVER is any Debian-based image of Redis 7.0 or later, or Valkey. The alpine ones have another C library.
ARG SERVER=redis:8.2

# On the oldest Debian that the servers' images have, so that the module finds its C library in all of them.
FROM rust:1.95-slim-bookworm AS build
# For bindgen. No version is named: a rebuild is to have Debian's fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libclang-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --lib

# hadolint ignore=DL3006
FROM ${SERVER}
# Not /usr/local/lib/redis/modules: Redis 8's image loads by itself what is there, and Valkey's does not.
COPY --from=build --chmod=755 /src/target/release/libauthlimit.so /usr/lib/redis/modules/
COPY packaging/authlimit.conf /etc/
# The user redis or valkey: the images give it this number, and the folder /data.
USER 999:999
# The entry point takes what ends in .conf as its own server's configuration.
CMD ["/etc/authlimit.conf"]
