# The image of the programs that run in pods: static, so there is nothing else in it but certificates and an empty /tmp.
# `make image` writes the same without Docker. Pods name the program: /blockgrid-worker, /blockgrid-controller.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# With a target named, the flags are for programs only: a macro cannot be static.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    programs="blockgrid-worker $(test ! -e controller/Cargo.toml || echo blockgrid-controller)" \
    && target="$(rustc --print host-tuple)" \
    && RUSTFLAGS="-C target-feature=+crt-static" \
       cargo build --release --locked --target "$target" $(printf -- "--package=%s " $programs) \
    && install -D -m 644 -t /image/etc/ssl/certs /etc/ssl/certs/ca-certificates.crt \
    && install -d -m 1777 /image/tmp \
    && for program in $programs; do install -m 755 "target/$target/release/$program" /image/; done

FROM scratch
COPY --from=build /image/ /
USER 65532:65532
