import { BlockList } from "node:net";
import { networkInterfaces } from "node:os";
import type { DecodedPacket, Packet, Question } from "dns-packet";
import openMulticastDns from "multicast-dns";
import { parseHostPort } from "../../config/host-port.ts";

/** Where multicast DNS is spoken, as the configuration has it. */
export interface MdnsPlace {
  /** `host:port`. */
  readonly mdnsGroup: string;
  /** IPv4 addresses of this machine; empty: all but loopback. */
  readonly mdnsInterfaces: readonly string[];
}

export interface MdnsLinkInit {
  readonly place: MdnsPlace;
  /** Whatever came from somebody on the same network. It must not throw. */
  readonly onPacket: (packet: DecodedPacket, from: MdnsSender) => void;
  /** A network can be spoken on, at the start or later. */
  readonly onOpen: () => void;
}

export interface MdnsSender {
  readonly address: string;
  readonly port: number;
  /** Another process of this machine; on loopback, where there are no others, nobody is. */
  readonly isSelf: boolean;
}

interface Open {
  readonly mdns: openMulticastDns.MulticastDNS;
  isReady: boolean;
  /** Why nobody can be heard here. */
  deaf: string | null;
  /** Why the last packet was not sent. */
  mute: string | null;
}

/** Interfaces come and go: a cable, a DHCP lease. */
const LOOK_EVERY_MS = 10_000;

/** Sends and hears packets of multicast DNS on some of the machine's networks, as they are there. */
export class MdnsLink implements AsyncDisposable {
  readonly #init: MdnsLinkInit;
  readonly #group: { readonly host: string; readonly port: number };
  readonly #open = new Map<string, Open>();
  #timer: NodeJS.Timeout | undefined;

  constructor(init: MdnsLinkInit) {
    this.#init = init;
    this.#group = parseHostPort(init.place.mdnsGroup) ?? { host: "224.0.0.251", port: 5353 };
  }

  start(): void {
    this.#look();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  get port(): number {
    return this.#group.port;
  }

  /** What stands in the way of being heard, one line; null: nothing that is known. */
  get problem(): string | null {
    const { mdnsInterfaces } = this.#init.place;
    const missing = mdnsInterfaces.find((address) => !this.#open.has(address));
    if (missing !== undefined) return `no network interface has the address ${missing}`;
    if (this.#open.size === 0) return "no network interface has an IPv4 address";
    const problems = [...this.#open.values()].map(({ deaf, mute }) => deaf ?? mute);
    return problems.find((problem) => problem !== null) ?? null;
  }

  /** Asks everybody. What can't be sent is a `problem`. */
  ask(questions: Question[], knownAnswers: Packet["answers"] = []): void {
    for (const one of this.#open.values()) {
      one.mdns.query({ questions, answers: knownAnswers }, (error) => {
        one.mute = error?.message ?? null;
      });
    }
  }

  /** Tells everybody, on each network with its own address in the records. Ends when all is sent. */
  async tell(answersAt: (address: string) => NonNullable<Packet["answers"]>): Promise<void> {
    await Promise.all(
      [...this.#open].map(async ([address, one]) => {
        if (!one.isReady) return;
        await new Promise<void>((resolve) => {
          one.mdns.respond({ answers: answersAt(address) }, (error) => {
            one.mute = error?.message ?? null;
            resolve();
          });
        });
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    const all = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(all.map(close));
  }

  #look(): void {
    const here = addressesHere();
    const { mdnsInterfaces } = this.#init.place;
    const wanted = [...here].filter(([address, { internal }]) =>
      mdnsInterfaces.length > 0 ? mdnsInterfaces.includes(address) : !internal,
    );
    for (const [address, one] of this.#open) {
      if (wanted.some(([other]) => other === address) && (one.isReady || one.deaf === null)) continue;
      this.#open.delete(address);
      void close(one);
    }
    for (const [address, { prefix }] of wanted) if (!this.#open.has(address)) this.#begin(address, prefix);
  }

  #begin(address: string, prefix: number): void {
    const neighbours = new BlockList();
    neighbours.addSubnet(address, prefix);
    const { host: ip, port } = this.#group;
    // Bound to an interface's own address, a socket hears no multicast on Linux.
    const mdns = openMulticastDns({ ip, port, interface: address, bind: "0.0.0.0", ttl: 255 });
    const one: Open = { mdns, isReady: false, deaf: null, mute: null };
    this.#open.set(address, one);
    mdns.on("error", (error) => {
      one.deaf = error.message;
    });
    mdns.on("warning", (error) => {
      // Also what can't be read as a packet is a warning: that is the sender's problem.
      if ("syscall" in error) one.deaf = error.message;
    });
    mdns.on("networkInterface", () => {
      one.deaf = null;
    });
    mdns.on("ready", () => {
      if (this.#open.get(address) !== one) return;
      one.isReady = true;
      this.#init.onOpen();
    });
    const isLoopback = address.startsWith("127.");
    mdns.on("packet", (packet: DecodedPacket, from: { address: string; port: number }) => {
      // A socket hears what comes by other interfaces too (RFC 6762, section 11).
      if (this.#open.get(address) !== one || !neighbours.check(from.address)) return;
      const isSelf = !isLoopback && addressesHere().has(from.address);
      this.#init.onPacket(packet, { address: from.address, port: from.port, isSelf });
    });
  }
}

async function close({ mdns }: Open): Promise<void> {
  await new Promise<void>((resolve) => mdns.destroy(resolve));
}

/** This machine's IPv4 addresses, each with how many bits of it are its network's. */
function addressesHere(): Map<string, { readonly internal: boolean; readonly prefix: number }> {
  const all = Object.values(networkInterfaces()).flatMap((some) => some ?? []);
  return new Map(
    all
      .filter(({ family }) => family === "IPv4")
      .map(({ address, internal, cidr }) => [
        address,
        { internal, prefix: Number(cidr?.split("/")[1] ?? 32) },
      ]),
  );
}
