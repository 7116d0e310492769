#!/bin/sh
# Works in the upstream image (its jars are below /apache-zookeeper-*) and in ours.
set -eu
for jars in /opt/zookeeper/lib /apache-zookeeper-*/lib; do
    [ -d "$jars" ] && classpath="$jars/*"
done
exec java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData \
    -Dlogback.configurationFile=/etc/zookeeper/logback.xml \
    -cp "$classpath" org.apache.zookeeper.server.quorum.QuorumPeerMain /etc/zookeeper/zoo.cfg
