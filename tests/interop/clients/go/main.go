// franz-go behind the commands of ../../README.md.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

func main() {
	args := os.Args[2:]
	switch os.Args[1] {
	case "produce":
		produce(args[0], number(args[1]), args[2])
	case "consume":
		consume(args[0], number(args[1]))
	case "group":
		group(args[0], args[1])
	case "seek":
		seek(args[0], int64(number(args[1])))
	default:
		panic("no command " + os.Args[1])
	}
}

func connection() []kgo.Opt {
	options := []kgo.Opt{kgo.SeedBrokers(strings.Split(os.Getenv("BOOTSTRAP"), ",")...)}
	if ca := os.Getenv("TLS_CA"); ca != "" {
		pem, err := os.ReadFile(ca)
		check(err)
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		options = append(options, kgo.DialTLSConfig(&tls.Config{RootCAs: roots}))
	}
	user, password := os.Getenv("SASL_USER"), os.Getenv("SASL_PASSWORD")
	switch os.Getenv("SASL_MECHANISM") {
	case "PLAIN":
		options = append(options, kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()))
	case "SCRAM-SHA-256":
		options = append(options, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha256Mechanism()))
	case "SCRAM-SHA-512":
		options = append(options, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism()))
	}
	return options
}

func client(more ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append(connection(), more...)...)
	check(err)
	return made
}

func produce(topic string, count int, codec string) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	producer := client(kgo.ProducerBatchCompression(codecs[codec]))
	defer producer.Close()
	var records []*kgo.Record
	for i := 0; i < count; i++ {
		text := strconv.Itoa(i)
		records = append(records, &kgo.Record{Topic: topic, Key: []byte("k" + text), Value: []byte("v" + text)})
	}
	check(producer.ProduceSync(context.Background(), records...).FirstErr())
	say(map[string]any{"produced": count})
}

func consume(topic string, count int) {
	consumer := client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer consumer.Close()
	read(consumer, count)
}

func seek(topic string, millis int64) {
	admin := kadm.NewClient(client())
	offsets, err := admin.ListOffsetsAfterMilli(context.Background(), millis, topic)
	check(err)
	at, _ := offsets.Lookup(topic, 0)
	check(at.Err)
	from := map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(at.Offset)}}
	consumer := client(kgo.ConsumePartitions(from))
	defer consumer.Close()
	read(consumer, 1)
}

func read(consumer *kgo.Client, count int) {
	for seen := 0; seen < count; {
		fetches := consumer.PollFetches(context.Background())
		for _, err := range fetches.Errors() {
			check(err.Err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			if seen < count {
				sayRecord(record)
			}
			seen++
		})
	}
}

func group(topic, name string) {
	var consumer *kgo.Client
	assigned := map[int32]bool{}
	tell := func() {
		partitions := []int32{}
		for partition := range assigned {
			partitions = append(partitions, partition)
		}
		say(map[string]any{"assigned": partitions})
	}
	change := func(there bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, changed map[string][]int32) {
			for _, partition := range changed[topic] {
				if there {
					assigned[partition] = true
				} else {
					delete(assigned, partition)
				}
			}
			tell()
		}
	}
	consumer = client(
		kgo.ConsumeTopics(topic), kgo.ConsumerGroup(name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.HeartbeatInterval(300*time.Millisecond), kgo.SessionTimeout(10*time.Second),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)),
		kgo.OnPartitionsLost(change(false)), kgo.BlockRebalanceOnPoll(),
	)
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		os.Stdin.Read(make([]byte, 1))
		stop()
	}()
	for ctx.Err() == nil {
		fetches := consumer.PollFetches(ctx)
		fetches.EachRecord(sayRecord)
		if !fetches.Empty() {
			check(consumer.CommitUncommittedOffsets(context.Background()))
			say(map[string]any{"committed": true})
		}
		consumer.AllowRebalance()
	}
	consumer.CloseAllowingRebalance()
	say(map[string]any{"closed": true})
}

func sayRecord(record *kgo.Record) {
	say(map[string]any{
		"key": string(record.Key), "value": string(record.Value), "partition": record.Partition, "offset": record.Offset,
	})
}

func say(what map[string]any) {
	line, err := json.Marshal(what)
	check(err)
	fmt.Println(string(line))
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
