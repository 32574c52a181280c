FROM rust:1.95-slim-bookworm AS build
WORKDIR /build

# The dependencies make a layer of their own: it is built again only when the manifest or the lock file changes.
# The awk leaves out tables of targets ([[test]], [[bench]]), whose files aren't here yet.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src \
    && touch src/lib.rs \
    && echo 'fn main() {}' > src/main.rs \
    && cp Cargo.toml Cargo.whole \
    && awk '/^\[/ { target = /^\[\[/ } !target' Cargo.whole > Cargo.toml \
    && cargo build --release --locked \
    && mv Cargo.whole Cargo.toml \
    && rm -r src

# The files keep the dates of the checkout; touch makes them newer than the empty ones above.
COPY . .
RUN touch src/lib.rs src/main.rs \
    && cargo build --release --locked --bin scopegate


FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 scopegate \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/scopegate \
        --shell /usr/sbin/nologin scopegate \
    && install -d -m 0755 /etc/scopegate \
    && install -d -m 0700 -o scopegate -g scopegate /var/lib/scopegate
COPY --from=build /build/target/release/scopegate /usr/local/bin/scopegate

# Relative paths of the configuration, such as sqlite://data/scopegate.db, begin in the volume.
WORKDIR /var/lib/scopegate
VOLUME /var/lib/scopegate
USER 10001:10001

# The proxy, and telemetry with /healthz, /readyz and /metrics.
# The console (8081) stays on loopback unless configured otherwise.
EXPOSE 8080 8082
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["scopegate", "check", "--live", "-c", "/etc/scopegate/scopegate.toml"]

ENTRYPOINT ["scopegate"]
CMD ["serve", "-c", "/etc/scopegate/scopegate.toml"]
