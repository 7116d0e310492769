#!/bin/sh
# Formats the data directory on the first start only, then becomes the broker. Works in the upstream image and in ours:
# all it needs is java on the PATH and the jars in /opt/kafka/libs.
set -eu
umask 077
properties=/tmp/server.properties
data=/var/lib/kafka

cat /etc/kafka/server.properties >"$properties"
if [ "$KAFKA_COORDINATION" = kraft ]; then
    # The broker signs in at itself by this password. Nobody else needs it, so each start makes a new one. Several sign
    # in at each other, by one that all of them have.
    own=$(cat /run/secrets/broker_password 2>/dev/null || head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
    for listener in broker controller; do
        [ "$listener" = broker ] || [ -f /run/secrets/broker_password ] || continue
        printf 'listener.name.%s.plain.sasl.jaas.config=%s required username="broker" password="%s" user_broker="%s";\n' \
            "$listener" org.apache.kafka.common.security.plain.PlainLoginModule "$own" "$own" >>"$properties"
    done
    # Who decides is part of the data: brokers that have none yet would decide without those that have some.
    several=$(sed -n '/,/s/^controller.quorum.voters=//p' "$properties")
    if [ ! -s "$data/meta.properties" ]; then
        [ -z "$several" ] || echo "$several" >"$data/quorum"
    elif known=$(cat "$data/quorum" 2>/dev/null || true) && [ "$known" != "$several" ]; then
        echo "The data here are of ${known:-one broker}, and kafka_brokers makes them of ${several:-one broker}:" \
            "expected kafka_brokers as it was" >&2
        exit 1
    fi
fi

if [ "$KAFKA_COORDINATION" = kraft ] && [ ! -s "$data/meta.properties" ]; then
    java -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*' kafka.tools.StorageTool format \
        --cluster-id "$(cat /run/secrets/cluster_id)" --config "$properties"
fi

set --
for agent in /opt/kafka/libs/jmx_prometheus_javaagent*.jar; do
    [ -f "$agent" ] && set -- "-javaagent:$agent=7071:/etc/kafka/jmx.yml"
done

# KAFKA_JVM_OPTIONS is a list of words.
# shellcheck disable=SC2086
exec java $KAFKA_JVM_OPTIONS "$@" \
    -Dlog4j2.configurationFile=/etc/kafka/log4j2.properties -Dlog4j.configuration=file:/etc/kafka/log4j.properties \
    -cp '/opt/kafka/libs/*' kafka.Kafka "$properties"
