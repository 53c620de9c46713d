# PostgreSQL, NATS and Prometheus from Debian's packages, for places where the usual images cannot be pulled. They keep
# to what deploy/compose and the chart's trial use of those, and are for trials and tests. The build context is this
# folder.
ARG DEBIAN=docker.io/library/debian:bookworm-slim

FROM ${DEBIAN} AS postgres
RUN groupadd --system --gid 999 postgres \
  && useradd --system --uid 999 --gid postgres --home-dir /var/lib/postgresql --shell /bin/sh postgres \
  && apt-get update \
  && mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf \
  && apt-get install -y --no-install-recommends postgresql-15 \
  && rm -rf /var/lib/apt/lists/* \
  && install -d -o postgres -g postgres -m 700 /var/lib/postgresql/data && install -d -m 1777 /var/run/postgresql
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  PGDATA=/var/lib/postgresql/data
COPY postgres-entrypoint.sh /usr/local/bin/
USER postgres
VOLUME /var/lib/postgresql/data
EXPOSE 5432
STOPSIGNAL SIGINT
ENTRYPOINT ["postgres-entrypoint.sh"]
CMD ["postgres"]

FROM ${DEBIAN} AS nats
RUN apt-get update && apt-get install -y --no-install-recommends nats-server && rm -rf /var/lib/apt/lists/*
EXPOSE 4222
ENTRYPOINT ["/usr/sbin/nats-server"]
CMD ["-c", "/etc/nats/nats-server.conf"]

FROM ${DEBIAN} AS prometheus
RUN apt-get update && apt-get install -y --no-install-recommends prometheus && rm -rf /var/lib/apt/lists/* \
  && install -d -o nobody -g nogroup /prometheus
USER nobody
VOLUME /prometheus
WORKDIR /prometheus
EXPOSE 9090
ENTRYPOINT ["/usr/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]

# A machine with systemd, PostgreSQL and NATS, for the units of deploy/systemd. Credentials of units are mounted where
# mounts are shared, which they are on a machine and not in a container.
FROM ${DEBIAN} AS machine
RUN apt-get update && apt-get install -y --no-install-recommends systemd systemd-sysv libnss-systemd postgresql-15 nats-server \
    ca-certificates git tzdata libabsl20220623 libarchive13 libgrpc++1.51 libnats3.4 libpq5 libprometheus-cpp-core1.0 \
    libprotobuf32 libre2-9 libsodium23 libssl3 libstdc++6 libyaml-cpp0.7 \
  && rm -rf /var/lib/apt/lists/*
STOPSIGNAL SIGRTMIN+3
CMD ["sh", "-c", "mount --make-rshared / && exec /lib/systemd/systemd"]
