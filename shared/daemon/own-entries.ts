import type { Config } from "../config/index.ts";
import type { Log } from "../observe/log.ts";
import { errorText } from "../protocol/error-text.ts";

/** What tells others that this node is there. */
interface Entry extends AsyncDisposable {
  /** Ends it as nobody wants it any more, and not for a while. */
  withdraw(): Promise<void>;
}

interface Kind {
  readonly name: "consul" | "mdns";
  /** What the entry depends on; undefined: none is wanted. A change makes it anew. */
  readonly settings: (config: Config) => object | undefined;
  /** What it needs is loaded only where it is wanted. */
  readonly make: (config: Config, log: Log) => Promise<Entry>;
}

/** This node's entries in Consul's catalogue and in multicast DNS, as its configuration has them. */
export class OwnEntries implements AsyncDisposable {
  readonly #log: Log;
  readonly #kept = KINDS.map((kind) => new KeptEntry(kind));

  constructor(log: Log) {
    this.#log = log;
  }

  /** Makes, changes and withdraws them, one after the other, behind what was wanted before. Waits for nobody's answer. */
  configure(config: Config): void {
    for (const kept of this.#kept) kept.configure(config, this.#log);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const kept of this.#kept) await kept[Symbol.asyncDispose]();
  }
}

class KeptEntry implements AsyncDisposable {
  readonly #kind: Kind;
  #settings: string | undefined;
  #entry: Entry | undefined;
  /** What was begun and is not done yet. */
  #work: Promise<void> = Promise.resolve();

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  configure(config: Config, log: Log): void {
    const { name, settings, make } = this.#kind;
    const wanted = settings(config);
    const text = wanted && JSON.stringify(wanted);
    if (text === this.#settings) return;
    this.#settings = text;
    const part = log.child({ part: name });
    this.#work = this.#work
      .then(async () => {
        const before = this.#entry;
        this.#entry = undefined;
        await before?.withdraw();
        if (wanted !== undefined) this.#entry = await make(config, part);
      })
      .catch((error: unknown) =>
        part.error({ err: error }, `this node's entry can't be made: ${errorText(error)}`),
      );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work;
    await this.#entry?.[Symbol.asyncDispose]();
    this.#entry = undefined;
  }
}

const KINDS: readonly Kind[] = [
  {
    name: "consul",
    settings: ({ discovery }) => {
      const { consulRegister, consulAddr, consulTokenFile, consulService } = discovery;
      return consulRegister ? { consulAddr, consulTokenFile, consulService } : undefined;
    },
    make: async (config, log) => {
      const { ConsulRegistration } = await import("../discovery/consul/consul-registration.ts");
      const { discovery } = config;
      const about = { ...aboutOf(config), service: discovery.consulService };
      return new ConsulRegistration({ ...about, place: discovery, log }).start();
    },
  },
  {
    name: "mdns",
    settings: ({ discovery }) => {
      const { mdnsAnnounce, dnsQuery, mdnsGroup, mdnsInterfaces } = discovery;
      return mdnsAnnounce ? { dnsQuery, mdnsGroup, mdnsInterfaces } : undefined;
    },
    make: async (config, log) => {
      const { MdnsAnnouncer } = await import("../discovery/mdns/mdns-announcer.ts");
      const { discovery } = config;
      const about = { about: aboutOf(config), service: discovery.dnsQuery };
      const announcer = new MdnsAnnouncer({ ...about, place: discovery, log }).start();
      // Its end takes it back in any case.
      const end = () => announcer[Symbol.asyncDispose]();
      return { withdraw: end, [Symbol.asyncDispose]: end };
    },
  },
];

function aboutOf({ node, role, region, capabilities, nats }: Config) {
  return { node, role, region, capabilities, natsUrl: nats.url, leafListen: nats.leafListen };
}
