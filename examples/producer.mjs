// Publish sales events straight to Kafka, as any system of yours could: one JSON object a line on standard input.
//
//     npm install
//     KAFKA_BROKERS=127.0.0.1:9092 node producer.mjs < events.jsonl
//     … node producer.mjs --binary < events.jsonl
//
// Exit code 0: the broker has every event. Otherwise send the same file again: ids tell what is a repeat.
import { createInterface } from "node:readline";
import kafkajs from "kafkajs";

const { Kafka, Partitioners, logLevel } = kafkajs;

// The topic of an event, by the first word of its type.
const TOPICS = {
  deal: "deals",
  lead: "leads",
  web: "engagement",
  email: "engagement",
  ad: "engagement",
  social: "engagement",
  customer: "customers",
  spend: "spend",
  rep: "spend",
};
// What every event has beside its data. Time is when it happened, with an offset; subject is the deal, lead, visitor, account.
const CONTEXT = ["specversion", "id", "source", "type", "time", "subject"];
const BATCH = 500;

const { KAFKA_BROKERS = "127.0.0.1:9092", TOPIC_PREFIX = "", KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD } = process.env;
const binary = process.argv.includes("--binary");

const kafka = new Kafka({
  clientId: "sales-producer",
  brokers: KAFKA_BROKERS.split(","),
  logLevel: logLevel.ERROR,
  ...(KAFKA_SASL_USERNAME && {
    ssl: true, // the system's authorities; others with NODE_EXTRA_CA_CERTS=ca.pem
    sasl: { mechanism: "scram-sha-512", username: KAFKA_SASL_USERNAME, password: KAFKA_SASL_PASSWORD },
  }),
});
const producer = kafka.producer({
  idempotent: true, // a retry of the client's is written once; with acks -1 nothing is lost
  maxInFlightRequests: 1,
  createPartitioner: Partitioners.DefaultPartitioner, // Java's murmur2: all of an entity's events have to be in one partition
});

// The whole event as JSON, or only its data, with the rest in headers (binary mode).
function record(event) {
  if (!binary) {
    const headers = { "content-type": "application/cloudevents+json; charset=utf-8" };
    return { key: event.subject, value: JSON.stringify(event), headers };
  }
  const headers = Object.fromEntries(CONTEXT.map((name) => [`ce_${name}`, String(event[name])]));
  return { key: event.subject, value: JSON.stringify(event.data ?? {}), headers: { ...headers, "content-type": "application/json" } };
}

let sent = 0;
const failures = [];
let batches = new Map();

async function flush() {
  const topicMessages = [...batches].map(([topic, messages]) => ({ topic, messages }));
  batches = new Map();
  if (topicMessages.length) await producer.sendBatch({ topicMessages, acks: -1 });
}

await producer.connect();
try {
  let number = 0;
  let waiting = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    number += 1;
    const event = JSON.parse(line);
    const missing = CONTEXT.filter((name) => !event[name]);
    const topic = TOPICS[String(event.type).split(".")[0]];
    if (missing.length || !topic) {
      failures.push(`line ${number}: missing [${missing}], or no topic for the type ${event.type}`);
      continue;
    }
    const name = TOPIC_PREFIX + topic;
    if (!batches.has(name)) batches.set(name, []);
    batches.get(name).push(record(event));
    sent += 1;
    waiting += 1;
    if (waiting === BATCH) {
      await flush();
      waiting = 0;
    }
  }
  await flush();
} finally {
  await producer.disconnect();
}
for (const failure of failures.slice(0, 20)) console.error(failure);
console.log(`${sent} sent, ${failures.length} not`);
process.exitCode = failures.length ? 1 : 0;
