import { newestVersions } from "../../coordinator/sequencer/commits/purged-versions.ts";
import type { Commit } from "../../coordinator/sequencer/commits/read-commit.ts";
import type { CommitReply } from "../../shared/protocol/commit.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import type { IngestReply } from "../../shared/protocol/messages.ts";
import type { Append } from "./checker.ts";
import { delayMs, type Environment, type Payload, type Weather } from "./environment.ts";
import { Random } from "./random.ts";
import { Scheduler } from "./scheduler.ts";
import { newestFence, newestMarks, SimCoordinator } from "./sim-coordinator.ts";
import { SimLeaf } from "./sim-leaf.ts";
import { type CommitAttempt, SimProgram } from "./sim-program.ts";
import { SimStream } from "./sim-stream.ts";
import { bodyOf, uidOf } from "./uid.ts";

/** A rule was broken in the middle of a run. */
export class SimulationFault extends Error {
  override readonly name = "SimulationFault";
}

export interface WorldInit {
  readonly seed: number;
  readonly leaves: number;
  readonly coordinators: number;
  readonly weather: Weather;
  readonly trace?: boolean;
}

/** Events with more body than that are refused. */
const LARGEST_BODY = 60;
const LOG_HEADERS_BYTES = 2048;
/** No message is longer on its way: the second of two that are one, in the slowest weather. */
const LATEST_MS = 400;

/** A hub's log, its coordinators, leaves, and the network between them. */
export class World {
  readonly env: Environment;
  readonly coordinators: SimCoordinator[];
  readonly leaves: SimLeaf[];
  readonly appends: Append[] = [];
  readonly destroyed = new Set<number>();
  readonly deletedByHand = new Set<number>();
  readonly lines: string[] = [];
  readonly purged: StoredMessage[] = [];
  readonly commits: CommitAttempt[] = [];
  readonly #programs: readonly SimProgram[];
  logRestores = 0;
  #logRestoredAtMs = -1;
  #nextUid = 1;

  constructor(init: WorldInit) {
    const random = new Random(init.seed);
    const scheduler = new Scheduler();
    this.env = {
      random,
      scheduler,
      weather: init.weather,
      log: new SimStream(),
      purgedVersions: new Map(),
      hubServerRun: 0,
      trace: (text) => {
        if (init.trace) this.lines.push(`${String(scheduler.nowMs).padStart(6)} ${text()}`);
      },
    };
    const settings = {
      rules: {
        maxMessageBytes: LARGEST_BODY + 120 + LOG_HEADERS_BYTES,
        hub: "hub",
        isStrong: (domain: string) => domain === "strong",
      },
      bounds: { events: random.pick([2, 5, 12]), bytes: random.pick([600, 3000, 20_000]) },
      marksEvery: random.pick([5, 25, 1000]),
      maxWaitingBytes: random.pick([800, 20_000]),
    };
    this.coordinators = Array.from(
      { length: init.coordinators },
      (_, i) => new SimCoordinator(`hub${i + 1}`, this.env, settings),
    );
    this.leaves = Array.from(
      { length: init.leaves },
      (_, i) =>
        new SimLeaf({
          env: this.env,
          name: `leaf${i + 1}`,
          send: (leaf, payload, onReply) => this.#send(leaf, payload, onReply),
          onRemoved: (leaf, why, removed) => this.#checkRemoved(leaf, why, removed),
          blockBytes: random.pick([200, 700, 3000]),
          batchEvents: random.pick([1, 6, 20]),
        }),
    );
    this.#programs = this.leaves.map(
      (leaf) =>
        new SimProgram({
          env: this.env,
          node: leaf.name,
          attempts: this.commits,
          nextUid: () => this.#nextUid++,
          send: (commit, onReply) => this.#sendCommit(leaf, commit, onReply),
        }),
    );
  }

  /** A program somewhere commits to a strong domain. */
  commit(): void {
    this.env.random.pick(this.#programs).commit();
  }

  append(leaf: SimLeaf): void {
    const { random } = this.env;
    const uid = this.#nextUid++;
    const tooLarge = random.chance(0.08);
    const headers = random.pick([
      "",
      `Nats-Msg-Id: id-${uid}\r\nX-Correlation-ID: c\r\n`,
      "nats-batch-commit: 1\r\nNats-Expected-Last-Sequence: 3\r\nCim-Log: 9-evil.9\r\nCim-Origin: x 1 e 1\r\n",
    ]);
    this.appends.push({ uid, node: leaf.name, after: leaf.newestUid, tooLarge });
    const body = bodyOf(uid, tooLarge ? LARGEST_BODY * 5 : random.between(4, LARGEST_BODY));
    leaf.append(uid, `cim.events.${random.pick(["a", "b"])}.x.Happened`, headers, body);
  }

  /** The log's retention: behind its marks, and never the present fence. What goes is remembered here. */
  purgeLog(): void {
    const { log, random } = this.env;
    const marks = newestMarks(log.messages);
    const fence = newestFence(log.messages);
    if (!marks || !fence) return;
    const behind = Math.min(marks.seq, fence.seq, this.#firstExpected());
    const purged = log.purgeBefore(Math.min(random.between(log.firstSeq, log.lastSeq), behind));
    this.purged.push(...purged);
    for (const [aggregate, version] of newestVersions(purged, (domain) => domain === "strong"))
      this.env.purgedVersions.set(aggregate, version);
  }

  /** The first commit that may be sent again: retention is longer than programs try. */
  #firstExpected(): number {
    const { log, scheduler } = this.env;
    const isOver = ({ toldAtMs }: CommitAttempt) =>
      toldAtMs !== undefined && scheduler.nowMs - toldAtMs > LATEST_MS;
    const open = new Set(this.commits.filter((attempt) => !isOver(attempt)).map(({ uid }) => uid));
    const first = log.messages.find((message) => open.has(uidOf(message) ?? 0));
    return first?.seq ?? Number.POSITIVE_INFINITY;
  }

  /** The log with what retention took from it. */
  get wholeLog(): StoredMessage[] {
    return [...this.purged, ...this.env.log.messages];
  }

  noteLogRestored(): void {
    this.logRestores += 1;
    this.#logRestoredAtMs = this.env.scheduler.nowMs;
    this.countDestroyed();
  }

  /** After a fault of a disk: which events are now nowhere any more? One may be back, with an older disk. */
  countDestroyed(): void {
    const alive = this.#alive();
    for (const { uid } of this.appends) {
      if (alive.has(uid)) this.destroyed.delete(uid);
      else this.destroyed.add(uid);
    }
  }

  #alive(): Set<number> {
    const alive = new Set<number>();
    const streams = [
      { messages: this.wholeLog },
      ...this.leaves.flatMap(({ outbox, copy }) => [outbox, copy]),
    ];
    for (const { messages } of streams)
      for (const message of messages) {
        const uid = uidOf(message);
        if (uid !== undefined) alive.add(uid);
      }
    for (const { setAside } of this.leaves) for (const uid of setAside.keys()) alive.add(uid);
    return alive;
  }

  #checkRemoved(leaf: SimLeaf, why: string, removed: readonly StoredMessage[]): void {
    // What is trimmed must be in the own copy, as the log may be restored from before it; or set aside, or too old.
    const kept = [...leaf.copy.messages, ...this.purged];
    const alive = why === "trim" ? new Set(kept.map((message) => uidOf(message))) : this.#alive();
    for (const message of removed) {
      const uid = uidOf(message);
      if (uid === undefined || alive.has(uid) || leaf.setAside.has(uid) || this.deletedByHand.has(uid))
        continue;
      if (why === "trim" || this.#logRestoredAtMs <= leaf.regreetedAtMs)
        throw new SimulationFault(`event ${uid} of ${leaf.name} was removed by ${why} and is nowhere else`);
      // The log was restored once more after it was said to have all: as if that had been a moment later.
      this.destroyed.add(uid);
    }
  }

  #send(leaf: SimLeaf, payload: Payload, onReply: (reply: IngestReply) => void): void {
    this.#carry(leaf, () => {
      for (const coordinator of this.coordinators)
        coordinator.receive(leaf.name, payload, (reply) => this.#carry(leaf, () => onReply(reply)));
    });
  }

  /** Of those that listen the server tells one, whether it leads just then or not. */
  #sendCommit(leaf: SimLeaf, commit: Commit, onReply: (reply: CommitReply) => void): void {
    this.#carry(leaf, () => {
      const listening = this.coordinators.filter(({ wanted }) => wanted);
      if (listening.length === 0) return;
      const coordinator = this.env.random.pick(listening);
      coordinator.receiveCommit(leaf.name, commit, (reply) => this.#carry(leaf, () => onReply(reply)));
    });
  }

  /** One message over a leaf's link. */
  #carry(leaf: SimLeaf, arrive: () => void): void {
    const { random, weather, scheduler } = this.env;
    if (!leaf.linkUp || random.chance(weather.lossy)) return;
    for (let copies = random.chance(weather.doubled) ? 2 : 1; copies > 0; copies--) {
      const late = copies === 2 ? random.between(1, 300) : 0;
      scheduler.after(delayMs(this.env) + late, () => {
        if (leaf.linkUp) arrive();
      });
    }
  }
}
