# What a cluster stands on, from Debian's packages: etcd 3.5.16, PostgreSQL 17 with Patroni 4.
#   docker build --file deploy/parts.Dockerfile --target etcd --tag fastness-etcd deploy
#   docker build --file deploy/parts.Dockerfile --target store --tag fastness-store deploy
FROM debian:trixie-slim AS etcd
# Debian keeps one version of each for all of a release, with its security updates.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends etcd-client etcd-server \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner etcd --group etcd --mode 0700 /var/lib/etcd
USER etcd
VOLUME /var/lib/etcd
EXPOSE 2379 2380
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["etcdctl", "endpoint", "health"]
ENTRYPOINT ["etcd", "--data-dir", "/var/lib/etcd"]

FROM debian:trixie-slim AS store
# Patroni makes the cluster of PostgreSQL itself, so the package must not.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-common \
    && echo "create_main_cluster = false" >> /etc/postgresql-common/createcluster.conf \
    && apt-get install --yes --no-install-recommends \
        curl patroni postgresql-17 python3-etcd python3-psycopg2 \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner postgres --group postgres --mode 0700 /var/lib/store
COPY --chmod=0444 patroni/patroni.yml /etc/patroni/patroni.yml
COPY --chmod=0555 patroni/make-database /usr/local/bin/make-database
USER postgres
VOLUME /var/lib/store
EXPOSE 5432 8008
# SIGTERM stops PostgreSQL orderly, once the standby has everything.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8008/health"]
ENTRYPOINT ["patroni", "/etc/patroni/patroni.yml"]
