#!/bin/sh
# Formats the data directory on the first start only, then becomes the broker. Works in the upstream image and in ours:
# all it needs is java on the PATH and the jars in /opt/kafka/libs.
set -eu
properties=/etc/kafka/server.properties
data=/var/lib/kafka

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
