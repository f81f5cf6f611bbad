# Adds authlimit to an official image of Redis or Valkey, run as an unprivileged user:
#
#   docker build -t authlimit .
#   docker build -t authlimit --build-arg SERVER=valkey/valkey:9.1 .
#
# SERVER can be any Debian-based image of Redis 7.0 or Valkey 8, or later. Alpine images have another C library.
ARG SERVER=redis:8.2

# The oldest Debian of the servers' images, so that the module works with the C library of all of them.
FROM rust:1.95-slim-bookworm AS build
# libclang is for bindgen. It is not pinned, so that a rebuild gets Debian's fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libclang-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --lib

# hadolint ignore=DL3006
FROM ${SERVER}
# Not /usr/local/lib/redis/modules: Redis 8's image loads all modules there by itself, Valkey's does not.
COPY --from=build --chmod=755 /src/target/release/libauthlimit.so /usr/lib/redis/modules/
COPY packaging/authlimit.conf /etc/
# The user redis or valkey, which has this id in the images and owns /data.
USER 999:999
# The entry point passes an argument that ends in .conf to the server as its configuration.
CMD ["/etc/authlimit.conf"]
