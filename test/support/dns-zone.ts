import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  type DecodedPacket,
  decode,
  encode,
  type Packet,
} from "dns-packet";
import type { DiscoveredNode } from "../../shared/discovery/discovered-node.ts";

/** What the server does with a question instead of answering it: gives the datagrams to send, in order. */
export type Misbehaviour = (query: DecodedPacket, honest: Packet) => readonly Buffer[];

export const SERVICE = "_nats._tcp.cim.test";

/**
 * A small authoritative DNS server on loopback, over real UDP and TCP on one port. Honest by default: RFC 1035 answers
 * with SRV's targets beside them, RFC 2308 for what is not there, truncation by the size the question allows.
 */
export class DnsZone implements AsyncDisposable {
  readonly #udp: Socket;
  readonly #tcp: Server;
  readonly host: string;
  port = 0;
  records: Answer[] = [];
  ttlS = 0;
  negativeTtlS: number | undefined = 0;
  /** Puts what an SRV's target has beside the answer. */
  additional = true;
  isSilent = false;
  rcode = "NOERROR";
  misbehaviour: Misbehaviour | undefined;
  /** Sees each datagram, and where it came from, before it is answered. */
  onUdp: ((bytes: Buffer, port: number, address: string) => void) | undefined;
  /** Refuses EDNS, as servers from before 1999. */
  isOld = false;
  /** All questions that came: `udp SRV name`. */
  readonly questions: string[] = [];

  private constructor(host: string) {
    this.host = host;
    this.#udp = createSocket("udp4");
    this.#tcp = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (bytes) => {
        const answer = this.#answer(bytes.subarray(2), "tcp");
        if (!answer) return void socket.destroy();
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        socket.end(Buffer.concat([length, answer]));
      });
    });
  }

  static async start(host = "127.0.0.31"): Promise<DnsZone> {
    // UDP and TCP are to have one port; the system chooses it for one of them, and another may have the other.
    for (;;) {
      const zone = new DnsZone(host);
      zone.#tcp.listen(0, host);
      await once(zone.#tcp, "listening");
      zone.port = (zone.#tcp.address() as { port: number }).port;
      try {
        zone.#udp.bind(zone.port, host);
        await once(zone.#udp, "listening");
      } catch {
        await zone[Symbol.asyncDispose]();
        continue;
      }
      zone.#udp.on("message", (bytes, { port, address }) => {
        zone.onUdp?.(bytes, port, address);
        for (const one of zone.#datagrams(bytes)) zone.#udp.send(one, port, address);
      });
      return zone;
    }
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** Lists exactly these nodes. */
  list(nodes: readonly DiscoveredNode[]): void {
    this.records = nodes.flatMap(
      ({ name, url = "nats://127.0.0.9:4222", region, capabilities }): Answer[] => {
        const { hostname, port } = new URL(url);
        const target = `${name}.cim.test`;
        const texts = [
          region && `region=${region}`,
          capabilities && `capabilities=${capabilities.join(",")}`,
        ];
        const data = texts.filter((text) => typeof text === "string");
        return [
          { type: "SRV", name: SERVICE, data: { port: Number(port), target, priority: 10, weight: 5 } },
          { type: "A", name: target, data: hostname },
          ...(data.length > 0 ? [{ type: "TXT" as const, name: target, data }] : []),
        ];
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#tcp.close();
    await new Promise<void>((resolve) => {
      try {
        this.#udp.close(() => resolve());
      } catch {
        resolve(); // never bound
      }
    });
  }

  #datagrams(bytes: Buffer): readonly Buffer[] {
    if (this.misbehaviour) {
      const query = decode(bytes);
      return this.misbehaviour(query, this.#packet(query));
    }
    const answer = this.#answer(bytes, "udp");
    return answer ? [answer] : [];
  }

  #answer(bytes: Buffer, over: "udp" | "tcp"): Buffer | undefined {
    const query = decode(bytes);
    const [question] = query.questions ?? [];
    this.questions.push(`${over} ${question?.type} ${question?.name}`);
    if (this.isSilent) return undefined;
    const edns = query.additionals?.find(({ type }) => type === "OPT");
    if (this.isOld && edns)
      return withRcode(encode({ ...this.#packet(query), answers: [], questions: [] }), 1);
    const answer = encode(this.#packet(query));
    const most = edns?.type === "OPT" ? (edns.udpPayloadSize ?? 512) : 512;
    if (over === "tcp" || answer.length <= most)
      return withRcode(answer, RCODES[this.rcode] ?? this.#rcodeOf(query));
    const cut = encode({ ...this.#packet(query), answers: [], additionals: [] });
    cut[2] = (cut[2] as number) | 0x02;
    return cut;
  }

  #packet(query: DecodedPacket): Packet {
    const [question] = query.questions ?? [];
    const withTtl = (records: Answer[]) =>
      records.map((one) => ({ ttl: this.ttlS, class: "IN", ...one }) as Answer);
    const same = (one: Answer) => one.name.toLowerCase() === question?.name.toLowerCase();
    const answers = this.records.filter(
      (one) => same(one) && (one.type === question?.type || one.type === "CNAME"),
    );
    const targets = answers.flatMap((one) => (one.type === "SRV" ? one.data.target : []));
    return {
      type: "response",
      id: query.id ?? 0,
      flags: AUTHORITATIVE_ANSWER,
      questions: query.questions ?? [],
      answers: withTtl(answers),
      additionals: this.additional ? withTtl(this.records.filter(({ name }) => targets.includes(name))) : [],
      authorities:
        answers.length > 0 || this.negativeTtlS === undefined
          ? []
          : [{ type: "SOA", name: "cim.test", ttl: 3600, data: { ...SOA, minimum: this.negativeTtlS } }],
    };
  }

  #rcodeOf(query: DecodedPacket): number {
    return this.records.some(({ name }) => name === query.questions?.[0]?.name) ? 0 : 3;
  }
}

const SOA = { mname: "ns.cim.test", rname: "admin.cim.test", serial: 1, refresh: 60, retry: 60, expire: 60 };
const RCODES: Readonly<Record<string, number>> = { SERVFAIL: 2, REFUSED: 5 };

function withRcode(answer: Buffer, rcode: number): Buffer {
  answer[3] = ((answer[3] as number) & 0xf0) | rcode;
  return answer;
}
