# syntax=docker/dockerfile:1
# Built from the repository's root: docker build -t bgpmesh .
# Run on a node: docker run --network host --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_BIND_SERVICE --cap-add NET_RAW \
#   --memory 1g -v /etc/bgpmesh:/etc/bgpmesh:ro -v /run/bgpmesh:/run/bgpmesh bgpmesh
# The process runs as root without any other capability: container runtimes give added capabilities to root only
# (they set no ambient capabilities). docs/reference/security.md lists what each capability is for.

FROM node:24-bookworm-slim AS build
WORKDIR /opt/bgpmesh
COPY package.json package-lock.json ./
COPY packages/bgp-packet/package.json packages/bgp-packet/
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run build && npm run build:executables && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-bookworm-slim
# nftables: the guard of the tunnel and the masquerade.
RUN apt-get update && apt-get install -y --no-install-recommends nftables && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/bgpmesh
COPY --from=build /opt/bgpmesh/package.json ./
COPY --from=build /opt/bgpmesh/bin bin
COPY --from=build /opt/bgpmesh/node_modules node_modules
COPY --from=build /opt/bgpmesh/packages/bgp-packet/package.json packages/bgp-packet/
COPY --from=build /opt/bgpmesh/packages/bgp-packet/dist/src packages/bgp-packet/dist/src
COPY --from=build /opt/bgpmesh/dist/src dist/src
COPY --from=build /opt/bgpmesh/dist/bgpmesh-ipam.cjs /opt/bgpmesh/dist/client-node.mjs dist/
COPY --from=build /opt/bgpmesh/dist/bgpmeshd dist/bgpmeshd
COPY --from=build /opt/bgpmesh/dist/executables dist/executables
COPY --from=build /opt/bgpmesh/config config
RUN for name in bgpmesh bgpmeshd bgpmesh-cni; do ln -s /opt/bgpmesh/bin/$name.js /usr/local/bin/$name; done && ln -s /opt/bgpmesh/dist/bgpmesh-ipam.cjs /usr/local/bin/bgpmesh-ipam
ENV NODE_ENV=production
# A stopped container is usually replaced at once. SIGUSR2 closes the sessions without a NOTIFICATION, so that peers keep
# the routes until the next start (graceful restart, RFC 4724). SIGTERM sends CEASE. The kernel keeps the routes in both cases.
STOPSIGNAL SIGUSR2
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["bgpmesh", "status", "--json"]
ENTRYPOINT ["bgpmeshd"]
CMD ["--config", "/etc/bgpmesh/bgpmeshd.yaml"]
