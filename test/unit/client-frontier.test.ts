import fc from "fast-check";
import { expect, it } from "vitest";
import { decodeCheckpoint, encodeCheckpoint, NOWHERE } from "../../shared/client/reader/checkpoint.ts";
import { frontierOf, leastRead } from "../../shared/client/reader/frontier.ts";
import { LogCourse } from "../../shared/client/reader/log-course.ts";
import type { CopyRecord } from "../../shared/protocol/control-records.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import { headerLine } from "../../shared/protocol/headers.ts";
import { HEADER } from "../../shared/protocol/names.ts";
import { controlRecordSubject, domainFilter } from "../../shared/protocol/subjects.ts";

const DOMAINS = ["person", "orders", "billing"];
const MARKS = controlRecordSubject("marks");
const COPY = controlRecordSubject("copy");

interface Entry {
  readonly index: number;
  /** undefined: a record of marks. */
  readonly domain: string | undefined;
}

function entry({ index, domain }: Entry, seq: number, reign = "1-aa"): StoredMessage {
  const subject = domain === undefined ? MARKS : `${domainFilter(domain).slice(0, -1)}a.Made`;
  const headerText = headerLine(HEADER.log, `${reign}.${index}`);
  return { seq, timeUs: 0, subject, headerText, body: Buffer.from("{}") };
}

const recordMessage = (record: CopyRecord, seq: number): StoredMessage => {
  const body = Buffer.from(JSON.stringify(record));
  return { seq, timeUs: 0, subject: COPY, headerText: "", body };
};

/** A node's copy, written as an agent does: what is filled in stands behind younger events, each part with its record. */
class Copy {
  readonly node: string;
  readonly log: readonly Entry[];
  stream: StoredMessage[] = [];
  record: CopyRecord = { live: [], at: null, filling: null };
  followed = 0;
  #lastSeq = 0;

  constructor(node: string, log: readonly Entry[], live: readonly string[]) {
    this.node = node;
    this.log = log;
    this.#note({ live: [...live], filling: null });
  }

  follow(count: number): void {
    for (const one of this.log.slice(this.followed, this.followed + count)) {
      this.followed = one.index;
      const { live } = this.record;
      if (one.domain === undefined || live.includes("*") || live.includes(one.domain)) this.#put(one);
    }
  }

  /** Drops what is not wanted, begins to fill what is new. */
  want(domains: readonly string[]): void {
    const before = this.record.live;
    const live = domains.filter((domain) => before.includes(domain));
    const add = domains.filter((domain) => !before.includes(domain));
    if (before.includes("*")) return;
    this.stream = this.stream.filter(({ subject }) => {
      const domain = subject.split(".")[2] as string;
      return domain === "_cim" || domains.includes("*") || live.includes(domain);
    });
    this.#note({ live, filling: add.length > 0 ? { domains: add, done: 0 } : null });
  }

  fill(count: number): void {
    const { filling, live } = this.record;
    if (!filling) return;
    const wanted = (domain: string | undefined) =>
      domain !== undefined &&
      !live.includes(domain) &&
      (filling.domains.includes("*") || filling.domains.includes(domain));
    const rest = this.log.filter(
      ({ index, domain }) => wanted(domain) && index > filling.done && index <= this.followed,
    );
    for (const one of rest.slice(0, count)) this.#put(one);
    const done = rest[Math.min(count, rest.length) - 1]?.index ?? filling.done;
    if (rest.length > count) this.#note({ live, filling: { ...filling, done } });
    else {
      const all = filling.domains.includes("*");
      this.#note({ live: all ? ["*"] : [...live, ...filling.domains], filling: null });
    }
  }

  #note(record: Omit<CopyRecord, "at">): void {
    const at = this.followed === 0 ? null : { reign: { epoch: 1, id: "aa" }, index: this.followed };
    this.record = { ...record, at };
    this.stream.push(recordMessage(this.record, ++this.#lastSeq));
  }

  #put(one: Entry): void {
    this.stream.push(entry(one, ++this.#lastSeq));
  }
}

/** As the shell begins to read: behind its last message of this very stream, or by records of marks. */
function begin(copy: Copy, checkpoint: string): { course: LogCourse; startSeq: number } | undefined {
  const standing = decodeCheckpoint(checkpoint);
  const course = new LogCourse(copy.node, standing);
  const { local, log, read } = standing;
  const there = copy.stream.find(({ seq }) => local?.node === copy.node && seq === local.seq);
  let startSeq = 1;
  if (there && local && there.headerText.includes(local.log)) {
    startSeq = local.seq + 1;
  } else if (log !== undefined) {
    const at = Number(log.split(".")[1]);
    if (at > copy.followed) return undefined;
    const held = [...copy.record.live, ...(copy.record.filling?.domains ?? [])];
    const unread = Math.min(at, leastRead(frontierOf(read), undefined, held));
    const isBefore = ({ subject, headerText }: StoredMessage) =>
      subject === MARKS && Number(headerText.trim().split(".")[1]) <= unread;
    startSeq = (copy.stream.findLast(isBefore)?.seq ?? 0) + 1;
  }
  const records = copy.stream
    .filter(({ subject }) => subject === COPY)
    .map(({ seq, body }) => ({ seq, record: JSON.parse(Buffer.from(body).toString()) as CopyRecord }));
  course.begin(
    read,
    records.findLast(({ seq }) => seq < startSeq)?.record,
    records.filter(({ seq }) => seq >= startSeq),
  );
  return { course, startSeq };
}

type Act = readonly ["follow" | "want" | "fill" | "read", number, number];
const act: fc.Arbitrary<Act> = fc.tuple(
  fc.constantFrom("follow", "follow", "want", "fill", "fill", "read", "read"),
  fc.nat(2),
  fc.integer({ min: 1, max: 7 }),
);

it("over copies that are filled in, and moves between them, each event comes once, those of a domain in order", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(DOMAINS.length), { minLength: 5, maxLength: 40 }),
      fc.array(act, { maxLength: 60 }),
      (words, acts) => {
        const log = words.map((word, i): Entry => ({ index: i + 1, domain: DOMAINS[word] }));
        const hub = new Copy("hub", log, ["*"]);
        hub.follow(log.length);
        const copies = [new Copy("a", log, ["person"]), new Copy("b", log, ["orders", "billing"])] as const;
        let checkpoint = encodeCheckpoint(NOWHERE);
        const handled: number[] = [];
        const read = (copy: Copy, count: number) => {
          const begun = begin(copy, checkpoint);
          if (!begun) return;
          let left = count;
          for (const message of copy.stream.filter(({ seq }) => seq >= begun.startSeq)) {
            if (left-- === 0) return;
            const isEvent = message.subject !== MARKS && message.subject !== COPY;
            if (begun.course.take(message) !== "passed" && isEvent)
              handled.push(Number(message.headerText.trim().split(".")[1]));
            checkpoint = encodeCheckpoint({ ...NOWHERE, ...begun.course.standing });
          }
        };
        for (const [what, where, count] of acts) {
          const copy = copies[where % 2] as Copy;
          if (what === "follow") copy.follow(count);
          if (what === "fill") copy.fill(count);
          if (what === "want")
            copy.want(count === 7 ? ["*"] : DOMAINS.filter((_, bit) => count & (1 << bit)));
          if (what === "read") read(where === 2 && count === 7 ? hub : copy, count * 2);
        }
        read(hub, Number.POSITIVE_INFINITY);
        expect(handled.toSorted((a, b) => a - b)).toEqual(
          log.filter(({ domain }) => domain).map(({ index }) => index),
        );
        for (const domain of DOMAINS) {
          const own = handled.filter((index) => log[index - 1]?.domain === domain);
          expect(own).toEqual(own.toSorted((a, b) => a - b));
        }
      },
    ),
    { numRuns: 3_000 },
  );
});

it("what a restored log has under numbers that were read is not passed over", () => {
  const course = new LogCourse("hub", NOWHERE);
  course.begin(NOWHERE.read, { live: ["*"], at: null, filling: null }, []);
  const take = (index: number, reign: string) =>
    course.take(entry({ index, domain: "person" }, index, reign));
  expect([1, 2, 3].map((index) => take(index, "1-aa"))).toEqual(["next", "next", "next"]);
  expect(take(3, "1-aa")).toBe("passed");
  expect([2, 3].map((index) => take(index, "2-bb"))).toEqual(["next", "next"]);
});

it("a checkpoint from before domains were told apart stands for all of them", () => {
  const old = `cim1.${Buffer.from(JSON.stringify({ l: "1-aa.7", a: [["n", 0, 3, "p", null]] })).toString("base64url")}`;
  const { read, lanes } = decodeCheckpoint(old);
  expect(frontierOf(read)).toEqual({ rest: 7, named: new Map() });
  expect(lanes[0]?.from).toBe(1);
});
