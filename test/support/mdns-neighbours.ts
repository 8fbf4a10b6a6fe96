import { once } from "node:events";
import type { Answer, DecodedPacket } from "dns-packet";
import openMulticastDns from "multicast-dns";
import type { DiscoveredNode } from "../../shared/discovery/discovered-node.ts";
import { freePort } from "./free-port.ts";

export const LOCAL_SERVICE = "_nats._tcp.cim.local";

/** Multicast on loopback alone, at a port that no resolver of the machine listens at. */
export async function loopbackPlace() {
  return { mdnsGroup: `224.0.0.251:${await freePort()}`, mdnsInterfaces: ["127.0.0.1"] };
}

type Place = Awaited<ReturnType<typeof loopbackPlace>>;

/**
 * Nodes that answer questions by multicast DNS, all from one place: RFC 6763's records of each, in one packet. They heed
 * no rule about when to answer.
 */
export class MdnsNeighbours implements AsyncDisposable {
  readonly place: Place;
  readonly #mdns: openMulticastDns.MulticastDNS;
  #records: Answer[] = [];
  ttlS = 1;
  isSilent = false;
  /** What others said and asked here. */
  readonly packets: DecodedPacket[] = [];

  private constructor(place: Place) {
    this.place = place;
    const [ip, port] = place.mdnsGroup.split(":") as [string, string];
    this.#mdns = openMulticastDns({ ip, port: Number(port), interface: "127.0.0.1", bind: "0.0.0.0" });
    this.#mdns.on("warning", () => {});
    this.#mdns.on("packet", (packet: DecodedPacket) => this.packets.push(packet));
    this.#mdns.on("query", ({ questions }) => {
      if (!this.isSilent && questions?.some(({ name }) => name === LOCAL_SERVICE)) this.say();
    });
  }

  static async start(place?: Place): Promise<MdnsNeighbours> {
    const neighbours = new MdnsNeighbours(place ?? (await loopbackPlace()));
    await once(neighbours.#mdns, "ready");
    return neighbours;
  }

  /** Names exactly these nodes from now on, and takes back the others. */
  list(nodes: readonly DiscoveredNode[]): void {
    const before = this.#records;
    this.#records = nodes.flatMap(recordsOf);
    const names = new Set(this.#records.map(nameOf));
    this.send(before.filter((one) => !names.has(nameOf(one))).map((one) => ({ ...one, ttl: 0 }) as Answer));
    this.say();
  }

  /** Names no node of this name any more, and says nothing of it. */
  forget(name: string): void {
    this.#records = this.#records.filter((one) => !nameOf(one).includes(`${name}.`));
  }

  add(node: DiscoveredNode): void {
    this.#records.push(...recordsOf(node));
    this.say();
  }

  say(): void {
    if (!this.isSilent) this.send(this.#records.map((one) => ({ ...one, ttl: this.ttlS }) as Answer));
  }

  send(answers: Answer[]): void {
    if (answers.length > 0) this.#mdns.respond({ answers });
  }

  ask(type: "PTR" | "SRV", name: string, answers: Answer[] = []): void {
    this.#mdns.query({ questions: [{ type, name }], answers });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#mdns.destroy(resolve));
  }
}

/** Which node's record it is. */
function nameOf(one: Answer): string {
  return one.type === "PTR" ? `PTR ${one.data}` : `${one.type} ${one.name}`;
}

function recordsOf({ name, url = "nats://127.0.0.9:4222", region, capabilities }: DiscoveredNode): Answer[] {
  const { hostname, port } = new URL(url);
  const instance = `${name}.${LOCAL_SERVICE}`;
  const target = `${name}.cim.local`;
  const data = [region && `region=${region}`, capabilities && `capabilities=${capabilities.join(",")}`];
  const texts = data.filter((text) => typeof text === "string");
  return [
    { type: "PTR", name: LOCAL_SERVICE, data: instance },
    { type: "SRV", name: instance, flush: true, data: { port: Number(port), target } },
    { type: "A", name: target, flush: true, data: hostname },
    ...(texts.length > 0 ? [{ type: "TXT" as const, name: instance, flush: true, data: texts }] : []),
  ];
}

/** Whether this machine lets multicast through its loopback interface. */
export async function isMulticastOnLoopback(): Promise<boolean> {
  await using neighbours = await MdnsNeighbours.start();
  for (let time = 0; time < 20 && neighbours.packets.length === 0; time++) {
    neighbours.ask("PTR", LOCAL_SERVICE);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return neighbours.packets.length > 0;
}
