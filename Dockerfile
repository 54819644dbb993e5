# The image of what runs in pods: one static program, certificates and an empty /tmp.
# `make image` writes the same without Docker. Pods call the program by a name that says what
# it is: /blockgrid-worker, /blockgrid-controller.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# With a target named, the flags are for programs only: a macro cannot be static.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    target="$(rustc --print host-tuple)" \
    && RUSTFLAGS="-C target-feature=+crt-static" \
       cargo build --release --locked --target "$target" --package blockgrid-pod \
    && install -D -m 644 -t /image/etc/ssl/certs /etc/ssl/certs/ca-certificates.crt \
    && install -d -m 1777 /image/tmp \
    && install -m 755 -t /image "target/$target/release/blockgrid-pod" \
    && for program in blockgrid-worker blockgrid-controller; do ln -s blockgrid-pod "/image/$program"; done

FROM scratch
COPY --from=build /image/ /
USER 65532:65532
