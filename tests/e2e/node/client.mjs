// A client that knows nothing of Headwater but what docs/protocol.md says.
// Usage: node client.mjs CONNECTION.json ROOT   prints one JSON object of what it has seen.
import { readFileSync } from "node:fs";
import { connect, headers, JSONCodec } from "nats";

const [connectionFile, root] = process.argv.slice(2);
const { url, token } = JSON.parse(readFileSync(connectionFile, "utf8"));
const connection = await connect({ servers: url, token });
const codec = JSONCodec();

async function ask(subject, payload) {
  const sent = headers();
  sent.set("Headwater-Principal", "node@test");
  const reply = await connection.request(subject, codec.encode(payload), {
    timeout: 20_000,
    headers: sent,
  });
  const code = reply.headers?.get("Nats-Service-Error-Code");
  return code ? { code, ...codec.decode(reply.data) } : codec.decode(reply.data);
}

const spec = {
  pipeline: "orders",
  sources: {
    orders: {
      kind: "csv",
      path: "orders.csv",
      columns: { id: "integer", customer: "string", amount: "number" },
    },
  },
  steps: [
    { id: "raw", kind: "ingest", source: "orders" },
    {
      id: "totals",
      kind: "transform",
      sql: "select customer, sum(amount) as amount from raw group by all",
    },
    {
      id: "published",
      kind: "store",
      input: "totals",
      order_by: ["customer"],
      sink: { kind: "csv", path: "out/totals.csv" },
    },
  ],
};

const commandId = "0193b2a0-7c1e-4d40-8000-000000000002";
const ended = connection.subscribe(`headwater.event.run.${commandId}.completed`, { max: 1 });

const registered = await ask("headwater.command.pipeline.register", { spec, root });
const started = await ask("headwater.command.run.start", {
  pipeline: "orders",
  command_id: commandId,
});
const again = await ask("headwater.command.run.start", {
  pipeline: "orders",
  command_id: commandId,
});

let completed;
for await (const message of ended) {
  completed = {
    tag: message.headers.get("Headwater-Tag"),
    position: Number(message.headers.get("Headwater-Position")),
    principal: codec.decode(message.data).principal,
  };
}

const run = await ask("headwater.query.monitoring.run", {
  run: started.run,
  min_position: completed.position,
});
const lineage = await ask("headwater.query.lineage.graph", {
  dataset: "orders.totals",
  column: "amount",
  direction: "up",
});
const unknown = await ask("headwater.command.run.start", { pipeline: "nobody" });
const malformed = await ask("headwater.query.monitoring.runs", { limit: "many" });

console.log(
  JSON.stringify({ registered, started, again, completed, run, lineage, unknown, malformed }),
);
await connection.drain();
