import * as z from "zod";
import { PROGRAM_USERS } from "../protocol/names.ts";
import { key } from "./described-key.ts";
import { absolutePath, bytes, listenAddress, nodeName, url, userPublicKey } from "./value-kinds.ts";

const MiB = 1024 * 1024;

const seedFile = (whose: string, file: string) =>
  key(absolutePath.optional(), {
    what: `File with the nkey seed of ${whose}; made at first need, mode 0600. Default: ${file} in dataDir.`,
    write: `an absolute path, or leave it out for ${file} in dataDir`,
  });

const programUser = z.strictObject({
  name: key(z.enum(PROGRAM_USERS), {
    what: "Which of the users for programs: it decides the rights (docs/recipes.md). A name may stand several times with a key of its own each, once with a password.",
    write: PROGRAM_USERS.map((name) => `"${name}"`)
      .join(", ")
      .replace(/, (?=[^,]*$)/, " or "),
  }),
  publicKey: key(userPublicKey.optional(), {
    what: "Public nkey of the user; the seed stays with the program.",
    write: "the program's public key (56 characters, begins with U), or a passwordHashFile in its place",
  }),
  passwordHashFile: key(absolutePath.optional(), {
    what: "File with the bcrypt hash of the user's password, one line; read when the server's configuration is written, which includes it from a file of its own (mode 0600). The user's name at the server is the name here.",
    write: "an absolute path, or a publicKey in its place",
  }),
});

/** The node's own nats-server: how the daemons reach it and what its configuration is generated from. */
export const natsSection = z.strictObject({
  url: key(url("nats", "tls").default("nats://127.0.0.1:4222"), {
    what: "URL of the node's own nats-server; the server listens on its host and port. Daemons dial loopback by default, so nothing is open to the network unless asked.",
    write: '"nats://127.0.0.1:4222"',
  }),
  monitor: key(listenAddress.nullable().default("127.0.0.1:8222"), {
    what: "host:port of the server's HTTP monitoring; null turns it off. Loopback by default: it has no password.",
    write: '"127.0.0.1:8222", or null to turn it off',
  }),
  storeDir: key(absolutePath.optional(), {
    what: "Folder of the server's JetStream store. Default: nats in dataDir.",
    write: "an absolute path, or leave it out for nats in dataDir",
  }),
  configFolder: key(absolutePath.optional(), {
    what: "Folder of nats-server.conf and what it includes; an agent that looks for its hub writes there where it is. Default: dataDir.",
    write: "an absolute path, or leave it out for dataDir",
  }),
  leafListen: key(listenAddress.nullable().default(null), {
    what: "Hub only: host:port on which leaves link; null takes none. The usual port is 7422.",
    write: '"0.0.0.0:7422"',
  }),
  hubDomain: key(nodeName.optional(), {
    what: "JetStream domain of the hub, which is the hub's node name. Default: \"hub\" on a leaf, the node's own name on a hub.",
    write: 'the hub\'s node name, as "hub"',
  }),
  hubs: key(
    z
      .array(url("nats-leaf", "nats", "tls", "ws", "wss"))
      .max(8)
      .default([]),
    {
      what: "Leaf only: URLs of the hubs' leafListen, tried in this order, after those that discovery finds.",
      write: 'a list of URLs, as ["nats-leaf://10.0.0.1:7422"]',
    },
  ),
  linkSeedFile: seedFile("the user under which a leaf links to its hub (not used on a hub)", "link.nk"),
  agentSeedFile: seedFile("the daemon's user in the account CIM", "agent.nk"),
  sysSeedFile: seedFile("the daemon's user in the account SYS", "sys.nk"),
  anonymousApp: key(z.boolean().default(true), {
    what: "Whether clients without credentials are the user app. True suits development on loopback; write false where others can reach the server.",
    write: "true or false",
  }),
  users: key(z.array(programUser).max(1_000).default([]), {
    what: "Users of the account CIM for programs, besides the one of anonymousApp: each with its public nkey, or with a password of which a bcrypt hash is in a file.",
    write: 'a list, as [{"name": "cim-events", "publicKey": "U…"}]',
  }),
  maxPayload: key(
    bytes
      .min(256 * 1024)
      .max(64 * MiB)
      .default(8 * MiB),
    {
      what: "Largest message the server takes, bytes. Events may be 64 KiB smaller, so that each fits a block of the uplink. 8 MiB is the usual size of a cim server; all nodes need the same.",
      write: "a number of bytes from 262144 to 67108864, as 8388608, the same on every node",
    },
  ),
  maxFile: key(bytes.min(16 * MiB).default(10 * 1024 * MiB), {
    what: "Disk that the server's JetStream store may use, bytes.",
    write: "a number of bytes of at least 16777216, as 10737418240",
  }),
  maxMemory: key(bytes.min(MiB).default(256 * MiB), {
    what: "Memory that JetStream's memory streams may use, bytes.",
    write: "a number of bytes of at least 1048576, as 268435456",
  }),
  syncInterval: key(
    z
      .string()
      .regex(/^(always|[1-9]\d{0,5}(ms|s|m|h))$/, 'must be "always" or a duration')
      .default("always"),
    {
      what: 'When the store is synced to disk: "always" before each acknowledgement (durable before visible), or a duration as "10s", within which a power cut can take acknowledged events back.',
      write: '"always"',
    },
  ),
});
