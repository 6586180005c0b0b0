# The image of one Parley node: built with everything, run with production dependencies only, as a user who owns
# nothing but the data folder. No secret is in it: what is secret comes by the environment. Why: docs/adr/0018.
#
#   docker build --tag parley .
#   docker run --rm --publish 8080:8080 --env PARLEY_JWT_SECRET --volume parley:/data --stop-timeout 30 parley

# Debian 13: uWebSockets.js's builds for Node 24 need glibc 2.38.
ARG NODE=node:24-trixie-slim

FROM ${NODE} AS manifests
WORKDIR /app
# Dependencies are installed anew only when one of these changes.
COPY package.json package-lock.json ./
COPY protocol/package.json protocol/
COPY client/package.json client/
COPY server/package.json server/
COPY web/package.json web/
COPY loadtest/package.json loadtest/
COPY bench/package.json bench/

FROM manifests AS build
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.base.json ./
COPY protocol protocol
COPY client client
COPY server server
COPY web web
RUN node_modules/.bin/tsc -b client server \
    && npm run build --workspace web \
    # No declarations, and no maps of sources that are not in the image.
    && find protocol/dist server/dist -type f \( -name '*.d.ts' -o -name '*.map' -o -name '.tsbuildinfo' \) -delete

FROM manifests AS dependencies
# Of uWebSockets.js's builds for every system and Node, which are 250 MB, the one that this image loads.
RUN --mount=type=cache,target=/root/.npm \
    npm ci --ignore-scripts --no-audit --no-fund --omit=dev --workspace server \
    && find node_modules/uWebSockets.js -name 'uws_*.node' \
       ! -name "uws_$(node -p 'process.platform + "_" + process.arch + "_" + process.versions.modules').node" -delete \
    # Fails here, and not at a customer's, where one of the two cannot be loaded.
    && node --input-type=module --eval "await import('uWebSockets.js'); await import('lmdb')"

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
# A configuration file is looked for here: /app/parley.config.mjs.
WORKDIR /app
RUN install --directory --owner=1000 --group=1000 --mode=0750 /data
COPY package.json LICENSE ./
COPY --from=dependencies /app/node_modules node_modules
COPY --from=dependencies /app/protocol protocol
COPY --from=dependencies /app/server server
COPY --from=build /app/protocol/dist protocol/dist
COPY --from=build /app/server/dist server/dist
COPY --from=build /app/web/dist web/dist
# By number, so that a cluster can see that it is not root.
USER 1000:1000
VOLUME /data
EXPOSE 8080
# Whether the process answers. Whether it should be sent clients is /readyz, and the load balancer's question.
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
    CMD ["node", "--eval", "fetch(`http://127.0.0.1:${process.env.PARLEY_PORT}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# The first one drains for PARLEY_DRAIN seconds: give the container more than that before it is killed.
STOPSIGNAL SIGTERM
# Node itself is process 1, so the signal reaches it.
CMD ["node", "--max-semi-space-size=32", "server/dist/main.js"]
