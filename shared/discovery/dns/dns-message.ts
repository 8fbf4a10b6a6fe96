import { type Answer, type DecodedPacket, decode, encode, RECURSION_DESIRED } from "dns-packet";

export interface Question {
  readonly name: string;
  readonly type: "SRV" | "TXT" | "A" | "AAAA";
}

/** A record as it is used here: names in small letters, without a dot at the end. */
export type DnsRecord = { readonly name: string; readonly ttlS: number } & (
  | {
      readonly type: "SRV";
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    }
  | { readonly type: "TXT"; readonly strings: readonly string[] }
  | { readonly type: "A" | "AAAA"; readonly address: string }
);

/** What a packet that came back for a question is. */
export type Reply =
  /** Not the answer to this question, whoever sent it: wait on. */
  | { readonly kind: "foreign"; readonly reason: string }
  /** There is more than fits into a datagram: ask again over TCP. */
  | { readonly kind: "truncated" }
  /** The server can't or won't answer: ask another. */
  | { readonly kind: "refused"; readonly rcode: string }
  | DnsAnswer;

export interface DnsAnswer {
  readonly kind: "answer";
  /** Of the question's type, at the end of aliases. None: it has been answered that there are none. */
  readonly records: readonly DnsRecord[];
  /** Records of other names that came along. */
  readonly additional: readonly DnsRecord[];
  /** How long the answer counts, seconds; an answer that there are none: by RFC 2308, undefined when it has no SOA. */
  readonly ttlS: number | undefined;
}

/** A datagram of this size crosses any network in one piece (DNS Flag Day 2020). */
export const UDP_BYTES = 1232;

/** @param edns says that a larger answer than 512 bytes can be taken (RFC 6891); some old servers refuse it */
export function encodeQuestion({ name, type }: Question, id: number, edns: boolean): Buffer {
  return encode({
    type: "query",
    id,
    flags: RECURSION_DESIRED,
    questions: [{ type, name, class: "IN" }],
    ...(edns && {
      additionals: [
        {
          type: "OPT",
          name: ".",
          udpPayloadSize: UDP_BYTES,
          extendedRcode: 0,
          ednsVersion: 0,
          flags: 0,
          flag_do: false,
          options: [],
        },
      ],
    }),
  });
}

/** Reads whatever came back. Never throws: nothing about the packet is taken for granted. */
export function readReply(bytes: Buffer, question: Question, id: number): Reply {
  const foreign = (reason: string): Reply => ({ kind: "foreign", reason });
  if (bytes.length < 12) return foreign("is shorter than a header");
  if (bytes.readUInt16BE(0) !== id) return foreign("has another id");
  let packet: DecodedPacket;
  try {
    packet = decode(bytes);
  } catch (error) {
    // A datagram that was cut off in the middle of a record says so in its header.
    if ((bytes.readUInt16BE(2) & 0x8200) === 0x8200) return { kind: "truncated" };
    return foreign(error instanceof Error ? error.message : "can't be read");
  }
  const [asked, ...more] = packet.questions ?? [];
  if (packet.type !== "response") return foreign("is no response");
  // Servers that understood nothing of the question may leave it out.
  const rcode = rcodeOf(packet);
  const isRefusal = rcode !== "NOERROR" && rcode !== "NXDOMAIN";
  if (!asked && isRefusal) return { kind: "refused", rcode };
  if (
    !asked ||
    more.length > 0 ||
    asked.type !== question.type ||
    plain(asked.name) !== plain(question.name)
  ) {
    return foreign("answers another question");
  }
  if (packet.flag_tc) return { kind: "truncated" };
  if (isRefusal) return { kind: "refused", rcode };
  return answerOf(packet, question);
}

function answerOf(packet: DecodedPacket, question: Question): Reply {
  const answers = packet.answers ?? [];
  const names = [plain(question.name)];
  const ttls: number[] = [];
  // An alias and what it leads to; an alias in a circle is met once and leads to nothing.
  for (const name of names) {
    for (const one of answers) {
      if (one.type !== "CNAME" || plain(one.name) !== name) continue;
      ttls.push(ttlOf(one));
      if (!names.includes(plain(one.data))) names.push(plain(one.data));
    }
  }
  const records = answers
    .filter(({ type, name }) => type === question.type && names.includes(plain(name)))
    .flatMap((one) => recordOf(one) ?? []);
  const additional = (packet.additionals ?? []).flatMap((one) => recordOf(one) ?? []);
  if (records.length > 0) {
    ttls.push(...records.map(({ ttlS }) => ttlS));
    return { kind: "answer", records, additional, ttlS: Math.min(...ttls) };
  }
  const authorities = packet.authorities ?? [];
  const soa = authorities.find(({ type }) => type === "SOA");
  const isReferral = !soa && !packet.flag_aa && authorities.some(({ type }) => type === "NS");
  if (isReferral) return { kind: "refused", rcode: "only names other servers" };
  // RFC 2308, section 5: the lesser of the SOA's own time and the last of its fields.
  const ttlS = soa?.type === "SOA" ? Math.min(ttlOf(soa), soa.data.minimum ?? 0, ...ttls) : undefined;
  return { kind: "answer", records: [], additional, ttlS };
}

/** @param one of a packet that was read; undefined: of a kind that is not used here */
export function recordOf(one: Answer): DnsRecord | undefined {
  if (one.type === "OPT" || !("class" in one) || one.class !== "IN") return undefined;
  const common = { name: plain(one.name), ttlS: ttlOf(one) };
  if (one.type === "SRV") {
    const { priority = 0, weight = 0, port, target } = one.data;
    return { ...common, type: "SRV", priority, weight, port, target: plain(target) };
  }
  if (one.type === "A" || one.type === "AAAA") return { ...common, type: one.type, address: one.data };
  if (one.type !== "TXT") return undefined;
  const strings = Array.isArray(one.data) ? one.data : [one.data];
  return { ...common, type: "TXT", strings: strings.map((text) => text.toString("utf8")) };
}

function rcodeOf(packet: DecodedPacket): string {
  return (packet as { rcode?: string }).rcode ?? "NOERROR";
}

/** Seconds. RFC 2181, section 8: a time with the highest bit set is none. */
export function ttlOf(one: Answer): number {
  const ttl = "ttl" in one ? (one.ttl ?? 0) : 0;
  return ttl > 0x7fff_ffff ? 0 : ttl;
}

/** A name as it is compared: DNS makes no difference between large and small letters. */
export function plain(name: string): string {
  return name.replace(/\.$/, "").toLowerCase();
}
