# One image, one binary, every service: `docker run kinitro scheduling …`.
FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
# The set-up's downloads, without its Debian packages: the build needs no database and no display.
RUN python3 scripts/fetch_assets.py \
    && SQLX_OFFLINE=true cargo build --release --locked --bin kinitro

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libegl1 libegl-mesa0 libgl1-mesa-dri \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/kinitro --create-home kinitro
COPY --from=build /build/target/release/kinitro /opt/kinitro/bin/kinitro
COPY --from=build /build/.vendor/mujoco/lib /opt/kinitro/lib
COPY --from=build /build/.vendor/metaworld/metaworld/assets /opt/kinitro/metaworld
COPY --from=build /build/.vendor/mujoco/LICENSE /build/NOTICE /opt/kinitro/
ENV PATH=/opt/kinitro/bin:$PATH \
    LD_LIBRARY_PATH=/opt/kinitro/lib \
    KINITRO_METAWORLD_ASSETS=/opt/kinitro/metaworld
USER 10001
ENTRYPOINT ["kinitro"]
CMD ["--help"]
