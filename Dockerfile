# The image of one Parley node. It has production dependencies only, and runs as a user that owns only the data folder.
# It contains no secret: pass secrets by the environment. docs/adr/0018 has the reasons.
#
#   docker build --tag parley .
#   docker run --rm --publish 8080:8080 --env PARLEY_JWT_SECRET --volume parley:/data --stop-timeout 30 parley

# Debian 13: the current builds of uWebSockets.js need glibc 2.38.
ARG NODE=node:24-trixie-slim

FROM ${NODE} AS manifests
WORKDIR /app
# Dependencies are installed again only when one of these changes.
COPY package.json package-lock.json ./
COPY protocol/package.json protocol/
COPY client/package.json client/
COPY react/package.json react/
COPY ai-sdk/package.json ai-sdk/
COPY server/package.json server/
COPY web/package.json web/
COPY loadtest/package.json loadtest/
COPY bench/package.json bench/

FROM manifests AS build
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.base.json ./
COPY protocol protocol
COPY client client
COPY react react
COPY server server
COPY web web
RUN node_modules/.bin/tsc -b client react server \
    && npm run build --workspace web \
    # Without declarations, and without source maps, because the image has no sources.
    && find protocol/dist server/dist -type f \( -name '*.d.ts' -o -name '*.map' -o -name '.tsbuildinfo' \) -delete

FROM manifests AS dependencies
# uWebSockets.js ships builds for every system and Node version, 370 MB. Keep only the one that this image loads.
COPY server/transports/uws.sha256 server/transports/
COPY scripts/sbom.mjs scripts/
RUN --mount=type=cache,target=/root/.npm \
    npm ci --ignore-scripts --no-audit --no-fund --omit=dev --workspace server \
    && npm run --silent sbom > sbom.cdx.json \
    && (cd node_modules && sha256sum --check --quiet ../server/transports/uws.sha256) \
    && rm -r node_modules/uwebsockets \
    && find node_modules/@btc-vision/uwebsockets.js -name 'uws_*.node' \
       ! -name "uws_$(node -p 'process.platform + "_" + process.arch + "_" + process.versions.modules').node" -delete \
    # If one of the two cannot be loaded, the build fails.
    && node --input-type=module --eval "await import('@btc-vision/uwebsockets.js'); await import('lmdb')"

FROM ${NODE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Parley" \
      org.opencontainers.image.description="A realtime server for LLM chat and agent sessions" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV NODE_ENV=production \
    PARLEY_HOST=0.0.0.0 \
    PARLEY_PORT=8080 \
    PARLEY_DATA=/data
# The server reads a configuration file here: /app/parley.config.mjs.
WORKDIR /app
RUN install --directory --owner=1000 --group=1000 --mode=0750 /data
COPY package.json LICENSE ./
COPY --from=dependencies /app/node_modules node_modules
COPY --from=dependencies /app/sbom.cdx.json .
COPY --from=dependencies /app/protocol protocol
COPY --from=dependencies /app/server server
COPY --from=build /app/protocol/dist protocol/dist
COPY --from=build /app/server/dist server/dist
COPY --from=build /app/web/dist web/dist
# A number, so that Kubernetes can verify that it is not root.
USER 1000:1000
VOLUME /data
EXPOSE 8080
# Checks only that the process answers. The load balancer requests /readyz to see whether it is ready for traffic.
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
    CMD ["node", "--eval", "fetch(`http://127.0.0.1:${process.env.PARLEY_PORT}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# SIGTERM drains for PARLEY_DRAIN seconds: set the container's stop timeout higher than that.
STOPSIGNAL SIGTERM
# Node is process 1, so it receives the signal.
CMD ["node", "--max-semi-space-size=32", "server/dist/main.js"]
