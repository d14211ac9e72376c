"""Streams made and deleted by Kafka's tools; on a cluster the hub notices a moment later."""

from support import kafka
from support.waiting import eventually


def new_stream(hub, name, partitions=1, **config):
    """config: as of kafka.create_topic."""
    before = hub.streams() if hub.has_cluster else None
    kafka.create_topic(hub, name, partitions, **config)
    if hub.has_cluster:
        eventually(lambda: hub.streams() >= before + hub.shards, f"stream {name}")


def delete_stream(hub, name):
    before = hub.streams() if hub.has_cluster else None
    kafka.delete_topic(hub, name)
    if hub.has_cluster:
        eventually(lambda: hub.streams() <= before - hub.shards, f"the end of stream {name}")
