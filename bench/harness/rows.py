"""What is measured: groups of rows, each over some brokers. Targets and what the best known peer reached are from the
project's table of aims; the gates are what a run fails below."""

from dataclasses import dataclass, field

from .peers import (
    FLOOR, KAFKA, MOSQUITTO, MOSQUITTO_PERSISTENT, NATS, RUMQTTD, SLUICE, SLUICE_1, SLUICE_2, SLUICE_OS, SLUICE_OS_2,
    Peer,
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    name: str
    kind: str  # a function of measure.KINDS
    arguments: tuple = ()
    messages: dict[str, int] = field(default_factory=dict)  # by broker: about two seconds' worth
    qos: int = 0
    # By figure: the target, and what the best peer known reached (FlashMQ 1.26 with one thread unless it says otherwise).
    aims: dict[str, tuple[str, str]] = field(default_factory=dict)
    gate: float = 0.0  # least share of the base that passes
    base: str = ""  # another row of the group that this one is compared with, instead of another broker
    seconds: int = 4  # about what one run takes

    def messages_of(self, broker: str) -> int:
        return self.messages[broker.split()[0]]  # "sluice os" as "sluice"


@dataclass(frozen=True)
class Group:
    name: str
    title: str
    peers: list[Peer]
    rows: list[Row]
    figures: tuple[str, ...]  # of the first table; names of report.FIGURES
    details: tuple[str, ...]  # of the second
    subject: str = "sluice"  # the broker whose share of the base is told
    base: str = ""
    fresh: bool = False  # each run has a broker of its own, just started
    rounds_max: int = 100
    pin: bool = True  # may its servers be kept on one processor
    plotted: tuple[str, ...] | None = None  # of the figures, if not all
    note: str = ""


def sizes(floor: int, sluice: int, mosquitto: int, nats: int, rumqttd: int) -> dict[str, int]:
    return {"floor": floor, "sluice": sluice, "mosquitto": mosquitto, "nats": nats, "rumqttd": rumqttd}


FAN_IN_0 = sizes(18_000_000, 4_000_000, 300_000, 1_000_000, 1_500_000)
FAN_IN_1 = sizes(11_000_000, 2_500_000, 150_000, 50_000, 800_000)
FAN_IN_2 = sizes(6_000_000, 1_500_000, 100_000, 50_000, 500_000)
PUBLISH_ONLY = sizes(14_000_000, 3_500_000, 300_000, 100_000, 1_000_000)
SINGLE_0 = sizes(400_000, 700_000, 200_000, 200_000, 300_000)
SINGLE_1 = sizes(300_000, 400_000, 120_000, 30_000, 150_000)
FAN_OUT = sizes(18_000, 12_000, 600, 3_000, 6_000)  # each delivered 500 times
ONE_IN_FLIGHT = ("fanin", "--pubs", 1000, "--window", 1, "--batch", 1)
RATES = ("per_s", "user_us", "system_us", "rss_mib", "anon_mib")


def share(target: str, best: str = "-") -> dict[str, tuple[str, str]]:
    return {"per_cpu_s": (target, best)}


MQTT = Group(
    "mqtt",
    "MQTT: 100-byte messages, all brokers",
    [FLOOR, SLUICE, MOSQUITTO, NATS, RUMQTTD],
    [
        Row("fan-in 100 to 1, QoS 0", "rate", ("fanin",), FAN_IN_0, 0, share("0.22", "0.18"), 0.11),
        Row("fan-in 100 to 1, QoS 1", "rate", ("fanin",), FAN_IN_1, 1, share("0.23", "0.19"), 0.11),
        Row("fan-in 100 to 1, QoS 2", "rate", ("fanin",), FAN_IN_2, 2, share("0.23", "0.19")),
        Row("publish only, 100 at QoS 1", "rate", ("pubonly",), PUBLISH_ONLY, 1, share("0.26", "0.23"), 0.13),
        Row("1,000 with one in flight, QoS 0", "rate", ONE_IN_FLIGHT, SINGLE_0, 0, share("2.4", "2.15")),
        Row("1,000 with one in flight, QoS 1", "rate", ONE_IN_FLIGHT, SINGLE_1, 1, share("1.7", "1.5")),
        Row("fan-out 1 to 500, QoS 0", "rate", ("fanout", "--subs", 500), FAN_OUT, 0, share("0.9", "0.80")),
    ],
    figures=("per_cpu_s",),
    details=RATES,
    base="floor",
    note="A window of 64 for each publisher, unless one is in flight; fan-out counts deliveries. Only sluice and nats store "
    "what they carry. mosquitto swings by half from round to round.",
)

LATENCY = Group(
    "latency",
    "Latency at 5,000 messages a second, QoS 1, 50 pairs",
    [SLUICE_OS, SLUICE, SLUICE_OS_2, MOSQUITTO, NATS, RUMQTTD],
    [
        Row(
            "publish to delivery",
            "latency",
            ("--rate", 5000),
            qos=1,
            aims={"p50": ("15", "12 (mosquitto 2.1)"), "p99": ("mosquitto's", "33 (mosquitto 2.1)")},
            seconds=11,
        )
    ],
    figures=("p50", "p99"),
    details=("user_us", "system_us", "rss_mib", "anon_mib"),
    subject="sluice os",
    base="mosquitto",
    note='Target for one shard with `log.durability=os`; one sync more with "disk", 30 µs across shards. floor is left out: '
    "it sends everything to everybody.",
)

SHARDS = Group(
    "shards",
    "Two shards against one",
    [SLUICE_1, SLUICE_2],
    [
        Row("fan-in 100 to 1, QoS 0", "rate", ("fanin",), FAN_IN_0, 0, share("0.75")),
        Row("fan-in 100 to 1, QoS 1", "rate", ("fanin",), FAN_IN_1, 1, share("0.75")),
        Row("fan-out 1 to 500, QoS 0", "rate", ("fanout", "--subs", 500), FAN_OUT, 0, share("-")),
        Row("1 publisher on the owner's shard, QoS 1", "same_shard", messages=PUBLISH_ONLY, qos=1, aims=share("0.9")),
        Row("1 publisher on another shard, QoS 1", "other_shard", messages=PUBLISH_ONLY, qos=1, aims=share("0.75")),
    ],
    figures=("per_cpu_s",),
    details=RATES,
    subject="sluice 2 shards",
    pin=False,
    base="sluice 1 shard",
    note="The kernel spreads connections over the shards. Where one publisher landed is seen from which shards' threads "
    "worked; it is tried until it landed where the row says.",
)

DISK_AIMS = {"per_cpu_s": ("0.87", "-"), "per_s": ("0.85", "-")}
DURABILITY = Group(
    "durability",
    'Durability "disk" against "os"',
    [SLUICE_OS, SLUICE],
    [
        Row("fan-in 100 to 1, QoS 1", "rate", ("fanin",), FAN_IN_1, 1, DISK_AIMS),
        Row("publish only, 100 at QoS 1", "rate", ("pubonly",), PUBLISH_ONLY, 1, DISK_AIMS),
    ],
    figures=("per_cpu_s", "per_s"),
    details=("user_us", "system_us"),
    base="sluice os",
    note='"disk" may cost 15% more server CPU, and 15% of the rate where the device syncs within 100 µs.',
)

IDLE = Group(
    "idle",
    "Idle connections",
    [FLOOR, SLUICE, MOSQUITTO, NATS, RUMQTTD],
    [
        Row(
            "15,000 held",
            "idle",
            ("--conns", 15000),
            aims={"connection_bytes": ("700", "680 to 750 (mosquitto 2.0)")},
            seconds=12,
        )
    ],
    figures=("connection_bytes",),
    details=("rss_mib", "anon_mib", "connects_per_s"),
    fresh=True,
    rounds_max=3,
    note="Growth of anonymous memory per connection; what the kernel needs for a socket is not in it.",
)

START = Group(
    "start",
    "Start and size",
    [SLUICE, MOSQUITTO, NATS, RUMQTTD, KAFKA],
    [
        Row(
            "just started, all listeners",
            "start",
            aims={
                "ready_s": ("0.1", "1.55 (Kafka)"),
                "anon_mib": ("15", "-"),
                "rss_mib": ("30", "380 (Kafka)"),
                "binary_mb": ("10", "-"),
            },
            seconds=4,
        )
    ],
    figures=("ready_s", "anon_mib", "rss_mib", "binary_mb"),
    details=(),
    fresh=True,
    rounds_max=3,
    note="sluice listens for MQTT, Kafka and admin. The binary is stripped and linked dynamically.",
)

RECORDS = {"sluice": 5_000_000, "kafka": 5_000_000}
WARM_RECORDS = 5_000_000  # before the first round
BATCHES = ("-P", "batch.size=65536", "-P", "acks=all")


def cpu_us(target: str, best: str) -> dict[str, tuple[str, str]]:
    return {"cpu_us": (target, best)}


SINGLE_RECORDS = cpu_us("10", "120") | {"p50": ("60", "136"), "p99": ("300", "2,200")}
KAFKA_ROWS = Group(
    "kafka",
    "Kafka: 100-byte records, one partition",
    [SLUICE, SLUICE_OS, KAFKA],
    [
        Row("produce, 64 KiB batches, acks=all", "produce", BATCHES, RECORDS, aims=cpu_us("0.10", "0.20"), seconds=6),
        Row("consume", "consume", (), RECORDS, aims=cpu_us("0.02", "0.03"), seconds=5),
        Row("single records, 1,000/s", "record_latency", ("-r", 1000), aims=SINGLE_RECORDS, seconds=12),
        Row("single records, 5,000/s", "record_latency", ("-r", 5000), aims=cpu_us("10", "80"), seconds=12),
    ],
    figures=("cpu_us", "p50", "p99"),
    details=("per_s", "user_us", "system_us", "rss_mib", "anon_mib"),
    base="kafka",
    note="Best peer: Kafka 4.3.1, which does not sync. Latency targets are for `log.durability=os`. All brokers get five million "
    "records first; `consume` reads those.",
)

FACES = Group(
    "faces",
    "Across faces",
    [SLUICE],
    [
        Row("MQTT in, MQTT out: fan-in 100 to 1, QoS 1", "rate", ("fanin",), FAN_IN_1, 1),
        Row("MQTT in by 100 at QoS 1, Kafka out to 1", "mqtt_to_kafka", messages=FAN_IN_1, qos=1, aims=share("0.8"),
            base="MQTT in, MQTT out: fan-in 100 to 1, QoS 1", seconds=6),
        Row("MQTT in, MQTT out: fan-out 1 to 500, QoS 0", "rate", ("fanout", "--subs", 500), FAN_OUT),
        Row("Kafka in, MQTT out to 500 at QoS 0", "kafka_to_mqtt", messages=FAN_OUT, aims=share("0.8"),
            base="MQTT in, MQTT out: fan-out 1 to 500, QoS 0", seconds=6),
    ],  # fmt: skip
    figures=("per_cpu_s",),
    details=RATES,
    note="The figures of both generators count from connecting to the last message, with loss, duplicates and order checked. "
    "The producer of Kafka in, MQTT out is not held back by the subscribers, which therefore read from the log.",
)

OVERLOAD = Group(
    "overload",
    "Ten times too much",
    [SLUICE],
    [Row("16 KiB messages, 100 publishers, QoS 1", "overload", seconds=75)],
    figures=("offered_per_s", "accepted_per_s", "per_s", "peak_first_mib", "peak_second_mib"),
    details=(),
    plotted=(),
    fresh=True,
    rounds_max=1,
    note="For a minute publishers offer ten times the rate at which the hub delivered in a closed loop just before. Its "
    "resident memory may not peak higher in the second half than in the first by more than a fifth and 32 MiB.",
)

OFFLINE = (
    "make_s", "make_cpu_us", "away_rss_mib", "away_anon_mib", "away_disk_mib", "publish_cpu_us", "full_rss_mib", "full_anon_mib",
    "full_disk_mib", "save_s", "storm_s", "storm_cpu_s", "storm_client_cpu_s", "storm_peak_mib", "again_s", "again_cpu_s",
)  # fmt: skip
BEHIND = ("first_ms", "last_ms", "behind_cpu_ms", "behind_read_mib")
SLOW = ("cpu_us", "rss_min_mib", "rss_max_mib", "rss_last_mib", "caught_up_s", "slow_client_cpu_s")
SESSIONS = Group(
    "sessions",
    "Stored sessions",
    [SLUICE, MOSQUITTO_PERSISTENT],
    [
        Row("100,000 away, 100 messages for each", "offline", messages={"sluice": 100_000, "mosquitto": 100_000}, seconds=200),
        Row("1 of 1,000 topics, 10 million behind", "behind", messages={"sluice": 10_000_000, "mosquitto": 10_000_000}, seconds=60),
        Row("10,000 connected that take too little", "slow", messages={"sluice": 10_000, "mosquitto": 10_000}, seconds=100),
    ],
    figures=(*OFFLINE, *BEHIND, *SLOW),
    details=(),
    base="mosquitto persistent",
    fresh=True,
    rounds_max=1,
    plotted=("make_s", "full_rss_mib", "full_disk_mib", "publish_cpu_us", "storm_s", "storm_cpu_s", "first_ms", "last_ms", "cpu_us"),
    note="100-byte messages at QoS 1; every session is checked for loss, repeats and order. Away: each session has one filter, "
    "s/N/#; the storm is all sessions coming back, at most 15,000 at a time, taking and acknowledging their messages, "
    "and leaving; then 10,000 of them come once more, for one message. Behind: the session has one of the topics as its "
    "filter; times count from CONNECT. Too little: for a minute each topic gets five messages a second; half of the sessions "
    "acknowledge three a second, the others all they hold every ten seconds, with a Receive Maximum of 20; then all take "
    "the rest at once. mosquitto saves when it is told to (SIGUSR1) before its disk is read, and does nothing else meanwhile.",
)

GROUPS = [MQTT, LATENCY, SHARDS, DURABILITY, IDLE, START, KAFKA_ROWS, FACES, OVERLOAD, SESSIONS]
