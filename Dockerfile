# logmon as a static program in an image without anything else.
# `docker build -t logmon .`; docker-compose.yml runs it beside MongoDB.
FROM rust:1.95-alpine AS build
RUN apk add --no-cache build-base
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p logmon && mkdir /empty

FROM scratch
COPY --from=build /src/target/release/logmon /logmon
# Owned by the user it runs as, so that a new volume is too.
COPY --from=build --chown=65532:65532 /empty /data
USER 65532:65532
VOLUME /data
EXPOSE 24224 4000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["/logmon", "stats", "count", "--from", "now-1s"]
ENTRYPOINT ["/logmon"]
CMD ["run", "--data-dir", "/data", "--forward", "0.0.0.0:24224", "--http", "0.0.0.0:4000", "--insecure-no-auth"]
