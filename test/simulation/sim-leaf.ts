import { isOnPath, type PathSegment } from "../../agent/uplink/own-path.ts";
import type { StoredMessage } from "../../shared/protocol/event.ts";
import type { IngestReply } from "../../shared/protocol/messages.ts";
import { type LaneMark, printOf } from "../../shared/protocol/origin.ts";
import type { Environment, Payload } from "./environment.ts";
import { OwnTrail, ownMarkOf } from "./own-trail.ts";
import { positionOf, SimDownlink } from "./sim-downlink.ts";
import { SimStream, type StreamSnapshot } from "./sim-stream.ts";
import { SimUplink } from "./sim-uplink.ts";
import { uidOf } from "./uid.ts";

export interface SimLeafInit {
  readonly env: Environment;
  readonly name: string;
  readonly send: (leaf: SimLeaf, payload: Payload, onReply: (reply: IngestReply) => void) => void;
  /** Something was deleted by the node itself: it must be elsewhere. */
  readonly onRemoved: (leaf: SimLeaf, why: string, removed: readonly StoredMessage[]) => void;
  readonly blockBytes: number;
  readonly batchEvents: number;
}

/** A leaf: its server's streams, which survive everything but a fault of the disk, and an agent that may die. */
export class SimLeaf {
  readonly name: string;
  readonly outbox = new SimStream();
  readonly copy = new SimStream();
  /** CIM_REFUSED, by event. */
  readonly setAside = new Map<number, string>();
  readonly #init: SimLeafInit;
  readonly own: OwnTrail;
  linkUp = true;
  serverRun = 0;
  uplink: SimUplink | undefined;
  downlink: SimDownlink | undefined;
  /** Newest event of the present outbox's history. */
  newestUid = 0;
  /** Newest own event in the copy, while the copy is known to be sound. */
  #cameBack: LaneMark | undefined;
  #pathBeforeDiscard: PathSegment[] = [];
  regreetedAtMs = 0;

  constructor(init: SimLeafInit) {
    this.#init = init;
    this.name = init.name;
    this.own = new OwnTrail(init.name, this.outbox, this.copy);
  }

  startAgent(): void {
    if (this.uplink) return;
    const { env, name, blockBytes, batchEvents } = this.#init;
    env.trace(() => `${name} agent starts`);
    this.uplink = new SimUplink({
      env,
      name,
      outbox: this.outbox,
      own: this.own,
      seen: positionOf(this.copy.messages.at(-1))?.reign,
      send: (payload, onReply) => this.#init.send(this, payload, onReply),
      setAside: ({ seq, print, reason }) => {
        const own = this.outbox.get(seq);
        if (own && printOf(this.own.shipped(own)) === print) this.#setAside(own, reason);
      },
      blockBytes,
    });
    this.downlink = new SimDownlink(
      {
        env,
        name,
        copy: this.copy,
        linkUp: () => this.linkUp,
        serverRun: () => this.serverRun,
        regreet: () => this.#regreet(),
        drop: (message) => this.#drop(message),
        onCopied: (messages) => this.#copied(messages),
        onSound: (sound) => {
          this.#cameBack = undefined;
          if (sound) this.#copied(this.copy.messages);
        },
      },
      batchEvents,
    );
    this.uplink.begin();
    this.downlink.begin();
  }

  killAgent(): void {
    this.#init.env.trace(() => `${this.name} agent is killed`);
    this.uplink?.end();
    this.downlink?.end();
    this.uplink = undefined;
    this.downlink = undefined;
    this.#cameBack = undefined;
  }

  /** The own server restarted, maybe with another store. */
  restartServer(): void {
    this.serverRun += 1;
    this.uplink?.lost();
    this.downlink?.lost();
  }

  cut(noticed: boolean): void {
    this.linkUp = false;
    if (!noticed) return;
    this.uplink?.lost();
    this.downlink?.lost();
  }

  mend(): void {
    if (this.linkUp) return;
    this.linkUp = true;
    this.uplink?.begin();
    this.downlink?.begin();
  }

  append(uid: number, subject: string, headerText: string, body: Uint8Array): void {
    this.#init.env.trace(() => `${this.name} appends ${this.outbox.lastSeq + 1} (event ${uid})`);
    this.outbox.append(subject, headerText, body, this.#init.env.scheduler.nowMs * 1000 + (uid % 1000));
    this.newestUid = uid;
    this.uplink?.wake();
  }

  /** The trim rule: what is confirmed and came back, but never the event at the mark itself. */
  trim(): void {
    const cameBack = this.#cameBack;
    if (!this.uplink || !cameBack) return;
    const own = this.outbox.get(cameBack.seq);
    // An event of the outbox that was here before has the number, but it is another event.
    if (!own || printOf(this.own.shipped(own)) !== cameBack.print) return;
    const from = Math.min(this.uplink.confirmed, cameBack.seq);
    const removed = this.outbox.purgeBefore(from);
    if (removed.length === 0) return;
    this.#init.env.trace(() => `${this.name} trims ${removed.map(({ seq }) => seq)}`);
    this.#init.onRemoved(this, "trim", removed);
  }

  restoreOutbox(snapshot: StreamSnapshot & { newestUid: number }): void {
    this.outbox.restore(snapshot);
    this.newestUid = snapshot.newestUid;
  }

  #regreet(): () => boolean {
    this.regreetedAtMs = this.#init.env.scheduler.nowMs;
    this.uplink?.begin();
    return () => {
      if (!this.uplink?.machine.refilled) return false;
      // After the greeting, which may have found no way, and before anything is deleted.
      this.#pathBeforeDiscard = this.own.path();
      return true;
    };
  }

  #drop(message: StoredMessage): void {
    const mark = ownMarkOf(this.name, message);
    const inOutbox = mark && this.outbox.get(mark.seq);
    const kept =
      mark &&
      (isOnPath(this.#pathBeforeDiscard, mark.incarnation, mark.seq) ||
        (inOutbox && printOf(this.own.shipped(inOutbox)) === mark.print));
    if (!kept && uidOf(message) !== undefined) this.#setAside(message, "not-in-log");
    this.copy.delete(message.seq);
    this.#init.onRemoved(this, "discard", [message]);
  }

  #copied(messages: readonly StoredMessage[]): void {
    for (const message of messages) {
      const mark = ownMarkOf(this.name, message);
      if (mark) this.#cameBack = { seq: mark.seq, print: mark.print };
    }
  }

  #setAside(message: StoredMessage | undefined, reason: string): void {
    const uid = message && uidOf(message);
    if (uid !== undefined) this.setAside.set(uid, reason);
  }
}
