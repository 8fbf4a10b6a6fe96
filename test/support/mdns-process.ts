import openMulticastDns from "multicast-dns";
import { pino } from "pino";
import { MdnsAnnouncer } from "../../shared/discovery/mdns/mdns-announcer.ts";
import { MdnsSource } from "../../shared/discovery/mdns/mdns-source.ts";

// A machine of its own for tests, in a network namespace: <group> announce <address> <node>, or <group> look. What it finds it
// says as lines of JSON: nodes as `name url`, and addresses from which a packet came.

process.stdin.resume().once("end", () => process.exit());

const [group = "", what, address = "", node = ""] = process.argv.slice(2);
const service = "_nats._tcp.cim.local";

if (what === "announce") {
  const about = {
    node,
    region: "eu",
    capabilities: [],
    natsUrl: "nats://127.0.0.1:4222",
    leafListen: null,
  };
  const announcer = new MdnsAnnouncer({
    about,
    service,
    place: { mdnsGroup: group, mdnsInterfaces: [address] },
    log: pino({ level: "silent" }),
  }).start();
  process.once("SIGTERM", () => void announcer[Symbol.asyncDispose]().then(() => process.exit(0)));
} else {
  const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
  const [ip = "", port] = group.split(":");
  const heard = openMulticastDns({ ip, port: Number(port), bind: "0.0.0.0" });
  heard.on("packet", (_, from) => say({ heard: from.address }));
  const source = new MdnsSource({
    dnsQuery: service,
    mdnsGroup: group,
    mdnsInterfaces: [],
    patienceMs: 200,
    onReport: (report) => {
      if (report.kind === "listing")
        say({ nodes: report.nodes.map(({ name, url }) => `${name} ${url}`).sort() });
    },
  });
  source.start();
}
